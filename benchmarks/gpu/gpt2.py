#!/usr/bin/env python3
"""Training steps of GPT-2 124M in Taut and in PyTorch: tokens a second and the most memory held.

    PYTHONPATH=build/gpu/python python3 benchmarks/gpu/gpt2.py [amp] [bf16] [--batch 16] [--compile] [--profile trace.json] [--data tokens.bin]

The same eager code for both: AdamW, gradients clipped, tokens at random. "amp": float32 weights, bfloat16 by autocast.
"bf16": weights in bfloat16, kept in float32 by Taut's optimizer (master_weights), by PyTorch's not at all.

--profile writes a trace of one step of Taut for ui.perfetto.dev, tells where its time goes, and leaves PyTorch out.
"""

import argparse
import time

import numpy as np
import taut
from taut import profiler

VOCABULARY = 50304  # 50257 filled up to a multiple of 64
CONTEXT, LAYERS, WIDTH, HEADS = 1024, 12, 768, 12
FLOPS_PER_TOKEN = 6 * 124.4e6 + 6 * LAYERS * WIDTH * CONTEXT  # causal attention counts half


# What the GPU works on, by the innermost of the scopes around a kernel that is named here.
GROUPS = {
    "products": {"matmul", "matmul_backward", "linear", "linear_backward", "fused_gemm", "mlp", "mlp_backward"},
    "attention": {"scaled_dot_product_attention", "scaled_dot_product_attention_backward"},
    "norms": {"layer_norm", "layer_norm_backward", "add_layer_norm", "add_layer_norm_backward"},
    "loss": {"cross_entropy", "cross_entropy_backward"},
    "embedding": {"embedding", "embedding_backward"},
    "optimizer": {"AdamW.step"},
    "clipping": {"sum_squares_of_list", "scale_list"},
}


def make_model(library):
    nn, F = library.nn, library.nn.functional

    def add_norm(norm, branch, x):
        """The norm of x + branch, and the sum."""
        if library is taut:
            return F.add_layer_norm(branch, x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
        x = x + branch
        return norm(x), x

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def mlp(self, x):
            if library is taut:
                return F.mlp(x, self.up.weight, self.down.weight, self.up.bias, self.down.bias, activation="gelu_tanh")
            return self.down(F.gelu(self.up(x), approximate="tanh"))

        def attend(self, h):
            batch, length, width = h.shape
            q, k, v = (
                part.view(batch, length, HEADS, width // HEADS).transpose(1, 2)
                for part in self.qkv(h).split(width, 2)
            )
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(mixed.transpose(1, 2).reshape(batch, length, width))

        def forward(self, h, x, next_norm):
            h, x = add_norm(self.norm2, self.attend(h), x)
            return add_norm(next_norm, self.mlp(h), x)

    class Gpt2(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.position = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
            self.blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
            self.norm = nn.LayerNorm(WIDTH)
            self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
            for name, weight in self.named_parameters():
                if weight.dim() > 1:
                    nn.init.normal_(weight, 0.0, 0.02)
            self.head.weight = self.token.weight

        def forward(self, x):
            places = library.arange(x.shape[1], device=x.device)
            x = self.token(x) + self.position(places)
            norms = [block.norm1 for block in self.blocks] + [self.norm]
            h = norms[0](x)
            for block, next_norm in zip(self.blocks, norms[1:]):
                h, x = block(h, x, next_norm)
            return self.head(h)

    library.manual_seed(1)
    return Gpt2().to("cuda")


class Tokens:
    """The inputs and targets of each step: the same each time, at random, or pieces of a file of 16-bit tokens."""

    def __init__(self, library, batch, data):
        self.library, self.batch = library, batch
        self.tokens = None if data is None else np.fromfile(data, np.uint16).astype(np.int64)
        self.random = np.random.default_rng(7)
        if data is None:
            self.fixed = self.parts(library.randint(0, 50257, (batch, CONTEXT + 1), device="cuda"))

    @staticmethod
    def parts(tokens):
        return tokens[:, :-1].contiguous(), tokens[:, 1:].flatten()

    def next(self):
        if self.tokens is None:
            return self.fixed
        firsts = self.random.integers(0, len(self.tokens) - CONTEXT, self.batch)
        pieces = np.stack([self.tokens[first : first + CONTEXT + 1] for first in firsts])
        return self.parts(self.library.tensor(pieces, device="cuda"))


def make_step(library, mode, batch, compiled, data=None, weights=None):
    F = library.nn.functional
    model = make_model(library)
    if weights is not None:
        model.load_state_dict({name: library.tensor(values) for name, values in weights.items()})
    options = {} if library is taut else {"fused": True}
    if mode == "bf16":
        model = model.to(library.bfloat16)
        options |= {"master_weights": True} if library is taut else {}
    run = library.compile(model) if compiled else model
    optimizer = library.optim.AdamW(model.parameters(), lr=6e-4, betas=(0.9, 0.95), weight_decay=0.1, **options)
    tokens = Tokens(library, batch, data)

    def logits(x):
        with library.autocast("cuda", library.bfloat16, enabled=mode == "amp"):
            return run(x).flatten(0, 1)

    def step():
        x, y = tokens.next()
        with library.autocast("cuda", library.bfloat16):
            loss = F.cross_entropy(logits(x), y)
        loss.backward()
        library.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def measure(library, mode, options, compiled=False):
    library.cuda.empty_cache()
    library.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    step = make_step(library, mode, options.batch, compiled)
    losses = [step().item()]
    first = time.perf_counter() - start
    seconds, queued = [], []
    for _ in range(options.turns):
        start = time.perf_counter()
        for _ in range(10):
            loss = step()
        queued.append((time.perf_counter() - start) / 10)
        losses.append(loss.item())
        seconds.append((time.perf_counter() - start) / 10)
    best = min(seconds)
    rate = options.batch * CONTEXT / best
    peak = library.cuda.max_memory_allocated() / 2**30
    print(
        f"{library.__name__}{' compiled' if compiled else ''} {mode}: {rate:,.0f} tokens/s, {1e3 * best:.2f} ms a step "
        f"(host {1e3 * min(queued):.2f}), {peak:.2f} GiB, {rate * FLOPS_PER_TOKEN / 1e12:.0f} TFLOP/s, first step {first:.2f} s; "
        f"ms by turns of 10: {' '.join(f'{1e3 * each:.1f}' for each in seconds)}; losses {' '.join(f'{each:.3f}' for each in losses)}",
        flush=True,
    )


def compare_losses(torch, options):
    """The losses of both libraries from the same weights on the same pieces of the data, and how far they are from PyTorch's
    with autocast. How far PyTorch gets from itself when its first weights are rounded to bfloat16 is the noise to judge by."""
    weights = {name: values.cpu() for name, values in make_model(torch).state_dict().items()}
    rounded = {name: values.bfloat16().float().numpy() for name, values in weights.items()}
    weights = {name: values.numpy() for name, values in weights.items()}
    runs = {"torch amp": (torch, "amp", weights), "torch amp from rounded weights": (torch, "amp", rounded)}
    runs |= {f"taut {mode}": (taut, mode, weights) for mode in options.modes}
    losses = {}
    for name, (library, mode, first) in runs.items():
        step = make_step(library, mode, options.batch, False, options.data, first)
        losses[name] = np.array([step().item() for _ in range(options.steps)])
        apart = losses[name] - losses["torch amp"]
        shown = " ".join(f"{each:.3f}" for each in [*losses[name][:: max(1, options.steps // 10)], losses[name][-1]])
        print(
            f"{name}: {shown}; mean of the last 20 {losses[name][-20:].mean():.4f}; from torch amp {apart.mean():+.4f} on average, "
            f"{np.abs(apart).mean():.4f} in size, {np.abs(apart).max():.4f} at most",
            flush=True,
        )


def group_of(event):
    """Which of GROUPS the kernels of an event belong to."""
    while event is not None:
        for group, names in GROUPS.items():
            if event.name in names:
                return group
        event = event.cpu_parent
    return "other"


def floor_of(event):
    """Milliseconds that the GPU needs at least for an event: for its FLOPs or for its bytes, which is more, at its peaks."""
    flops, bandwidth = profiler.peak_flops("cuda", event.dtype), profiler.peak_bandwidth("cuda")
    return 1e3 * max(event.flops / flops if flops else 0.0, event.bytes / bandwidth if bandwidth else 0.0)


def busy_time(kernels):
    """Milliseconds in which at least one kernel ran; they may overlap."""
    total, end = 0.0, float("-inf")
    for kernel in kernels:
        interval = kernel.time_range
        total += max(0.0, interval.end - max(end, interval.start))
        end = max(end, interval.end)
    return total / 1e3


def tell_groups(prof):
    """A line for each group: time, work, and how near that is to the floor."""
    sums = {}
    for event in prof.events():
        row = sums.setdefault(group_of(event), [0, 0.0, 0.0, 0.0, 0.0])
        row[0] += len(event.kernels)
        row[1] += sum(kernel.duration for kernel in event.kernels) / 1e3
        if event.device.type == "cuda":
            row[2] += event.flops
            row[3] += event.bytes
            row[4] += floor_of(event)
    total = sum(row[1] for row in sums.values())
    print(f"{'group':<12}{'kernels':>8}{'ms':>9}{'share':>8}{'TFLOP/s':>9}{'GB/s':>8}{'floor ms':>10}{'of floor':>9}")
    for group, (count, spent, flops, moved, floor) in sorted(sums.items(), key=lambda item: -item[1][1]):
        if spent > 0:
            print(
                f"{group:<12}{count:>8}{spent:>9.3f}{spent / total:>8.1%}{flops / spent / 1e9:>9.0f}{moved / spent / 1e6:>8.0f}"
                f"{floor:>10.3f}{floor / spent:>9.1%}"
            )
    kernels = prof.kernels()
    span = (max(kernel.time_range.end for kernel in kernels) - kernels[0].time_range.start) / 1e3
    floor = sum(row[4] for row in sums.values())
    print(
        f"{len(kernels)} kernels and copies take {total:.3f} ms; the GPU was busy for {busy_time(kernels):.3f} of {span:.3f} ms; "
        f"the floor is {floor:.3f} ms, {floor / span:.1%} of that"
    )


def profile(options):
    """One step of Taut: a file for the eye, and its time by groups, ops, modules and kernels."""
    step = make_step(taut, options.modes[0], options.batch, False)
    for _ in range(30):
        step()
    taut.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(10):
        step()
    taut.cuda.synchronize()
    print(f"{options.modes[0]}: {1e2 * (time.perf_counter() - start):.3f} ms a step without the profiler")
    with profiler.profile(schedule=profiler.schedule(wait=0, warmup=2, active=1, repeat=1)) as prof:
        for _ in range(3):
            step()
            taut.cuda.synchronize()
            prof.step()
    prof.export_chrome_trace(options.profile)
    if not prof.kernels():
        raise SystemExit("the profile holds no kernels; see the warning above")
    tell_groups(prof)
    print(prof.key_averages().table(sort_by="self_cuda_time_total", row_limit=30))
    print(prof.key_averages(group_by="module").table(sort_by="cuda_time_total", row_limit=30))
    print(prof.key_averages(group_by="kernel").table(sort_by="cuda_time_total", row_limit=30, max_name_column_width=100))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modes", nargs="*", default=["amp", "bf16"], help="amp, bf16")
    parser.add_argument("--batch", type=int, default=16, help="sequences in a batch (16)")
    parser.add_argument("--turns", type=int, default=6, help="how often to time 10 steps (6)")
    parser.add_argument("--compile", action="store_true", help="PyTorch by torch.compile too")
    parser.add_argument("--data", help="a file of 16-bit tokens: tell the losses of both libraries on it, not the speed")
    parser.add_argument("--steps", type=int, default=200, help="steps on the data (200)")
    parser.add_argument("--profile", metavar="FILE", help="write a trace of a step of Taut, tell its time, leave PyTorch out")
    options = parser.parse_args()
    print(f"{taut.cuda.get_device_name()}, batch {options.batch} x {CONTEXT}")
    if options.profile:
        profile(options)
        return
    import torch

    print(f"PyTorch {torch.__version__}")
    if options.data:
        compare_losses(torch, options)
        return
    for mode in options.modes:
        measure(taut, mode, options)
        measure(torch, mode, options)
        if options.compile:
            measure(torch, mode, options, compiled=True)


if __name__ == "__main__":
    main()
