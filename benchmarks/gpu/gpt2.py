#!/usr/bin/env python3
"""Training steps of GPT-2 124M in Taut and in PyTorch: tokens a second and the most memory held.

    PYTHONPATH=build/gpu/python python3 benchmarks/gpu/gpt2.py [--batch 16] [--compile] [--profile]

The same eager code for both, in bfloat16 by autocast with float32 weights: AdamW, gradients clipped, tokens at random.
"""

import argparse
import time

import taut
import torch

VOCABULARY = 50304  # 50257 filled up to a multiple of 64
CONTEXT, LAYERS, WIDTH, HEADS = 1024, 12, 768, 12
FLOPS_PER_TOKEN = 6 * 124.4e6 + 6 * LAYERS * WIDTH * CONTEXT  # causal attention counts half


def make_model(library):
    nn, F = library.nn, library.nn.functional

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

        def forward(self, x):
            batch, length, width = x.shape
            q, k, v = (
                part.view(batch, length, HEADS, width // HEADS).transpose(1, 2)
                for part in self.qkv(self.norm1(x)).split(width, 2)
            )
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
            return x + self.mlp(self.norm2(x))

    class Gpt2(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.position = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
            self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
            self.norm = nn.LayerNorm(WIDTH)
            self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
            for name, weight in self.named_parameters():
                if weight.dim() > 1:
                    nn.init.normal_(weight, 0.0, 0.02)
            self.head.weight = self.token.weight

        def forward(self, x):
            places = library.arange(x.shape[1], device=x.device)
            return self.head(self.norm(self.blocks(self.token(x) + self.position(places))))

    library.manual_seed(1)
    return Gpt2().to("cuda")


def make_step(library, batch, compiled):
    F = library.nn.functional
    model = make_model(library)
    run = torch.compile(model) if compiled and library is torch else model
    options = {"fused": True} if library is torch else {}
    optimizer = library.optim.AdamW(model.parameters(), lr=6e-4, betas=(0.9, 0.95), weight_decay=0.1, **options)
    tokens = library.randint(0, 50257, (batch, CONTEXT + 1), device="cuda")
    x, y = tokens[:, :-1].contiguous(), tokens[:, 1:].flatten()

    def step():
        with library.autocast("cuda", library.bfloat16):
            loss = F.cross_entropy(run(x).flatten(0, 1), y)
        loss.backward()
        library.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def measure(library, batch, steps, compiled):
    start = time.perf_counter()
    step = make_step(library, batch, compiled)
    losses = [step().item()]
    first = time.perf_counter() - start
    for _ in range(3):
        losses.append(step().item())
    library.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        loss = step()
    queued = time.perf_counter() - start
    losses.append(loss.item())
    seconds = (time.perf_counter() - start) / steps
    rate = batch * CONTEXT / seconds
    peak = library.cuda.max_memory_allocated() / 2**30
    name = library.__name__ + (" compiled" if compiled and library is torch else "")
    print(
        f"{name}: {rate:,.0f} tokens/s, {1e3 * seconds:.2f} ms a step (host {1e3 * queued / steps:.2f}), {peak:.2f} GiB, "
        f"{rate * FLOPS_PER_TOKEN / 1e12:.0f} TFLOP/s, first step {first:.2f} s; losses {losses[0]:.4f} {losses[3]:.4f} {losses[-1]:.4f}",
        flush=True,
    )


def profile(batch):
    """The kernels of a step of Taut, by time, as PyTorch's profiler sees them."""
    step = make_step(taut, batch, False)
    for _ in range(3):
        step()
    torch.zeros(1, device="cuda")
    taut.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
        step()
        taut.cuda.synchronize()
    print(found.key_averages().table(sort_by="cuda_time_total", row_limit=45, max_name_column_width=110))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=16, help="sequences in a batch (16)")
    parser.add_argument("--steps", type=int, default=20, help="steps to time (20)")
    parser.add_argument("--compile", action="store_true", help="PyTorch by torch.compile too")
    parser.add_argument("--profile", action="store_true", help="tell Taut's kernels and leave PyTorch out")
    options = parser.parse_args()
    print(f"{taut.cuda.get_device_name()}, PyTorch {torch.__version__}, batch {options.batch} x {CONTEXT}")
    if options.profile:
        profile(options.batch)
        return
    measure(taut, options.batch, options.steps, False)
    taut.cuda.empty_cache()
    measure(torch, options.batch, options.steps, False)
    if options.compile:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        measure(torch, options.batch, options.steps, True)


if __name__ == "__main__":
    main()
