#!/usr/bin/env python3
"""Published chains of small ops by taut.fuse, beside PyTorch, eager and by torch.compile, in one process.

    PYTHONPATH=build/gpu/python python3 benchmarks/gpu/fuse.py [CHAIN ...] [--compile] [--dtype bfloat16]

Each chain is timed forward and forward with backward, as CUDA graphs of one call where that can be captured, so that the
host does not count; --eager-launch times queued calls instead. The floor is the bytes that must be read and written, at the
rate of a large copy in the same run.
"""

import argparse
import statistics

import taut
import torch

SEED = 3
TOKENS, WIDTH, HEADS = 16384, 4096, 32


def randn(library, shape, dtype, **options):
    library.manual_seed(SEED)
    return library.randn(*shape, device="cuda", dtype=getattr(library, dtype), **options)


def rotate_half(library, x):
    first, second = x.chunk(2, -1)
    return library.cat((-second, first), -1)


class Chain:
    """A function of tensors, in both libraries, and the numbers that it must move."""

    def __init__(self, function, inputs, wanted, forward, backward):
        self.function = function  # function(library)(*inputs)
        self.inputs = inputs  # shapes
        self.wanted = wanted  # inputs by which there are gradients
        self.forward = forward  # numbers read and written, forward
        self.backward = backward  # and backward


def geglu(library):
    def run(x):
        value, gate = x.chunk(2, -1)
        return value * library.nn.functional.gelu(gate)

    return run


def rms_norm(library):
    def run(x, residual, weight):
        total = x + residual
        return library.nn.functional.rms_norm(total, (total.shape[-1],), weight, 1e-6), total

    return run


def rotary(library):
    def run(query, key, cos, sin):
        def turned(x):
            return x * cos + rotate_half(library, x) * sin

        return turned(query), turned(key)

    return run


def focal_loss(library):
    # torchvision.ops.sigmoid_focal_loss, alpha = 0.25 and gamma = 2
    def run(x, target):
        p = library.sigmoid(x)
        loss = library.nn.functional.binary_cross_entropy_with_logits(x, target, reduction="none")
        hit = p * target + (1 - p) * (1 - target)
        weight = 0.25 * target + 0.75 * (1 - target)
        return (weight * loss * (1 - hit) ** 2).mean()

    return run


def ada_ln(library):
    def run(x, shift, scale):
        normal = library.nn.functional.layer_norm(x, (x.shape[-1],), eps=1e-6)
        return normal * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)

    return run


def chains():
    n = TOKENS * WIDTH
    heads = (8, TOKENS // 8, HEADS, WIDTH // HEADS)
    angles = (TOKENS // 8, 1, WIDTH // HEADS)
    return {
        "GEGLU": Chain(geglu, [(TOKENS, 2 * WIDTH)], [True], 3 * n, 5 * n),
        "RMSNorm with residual": Chain(rms_norm, [(TOKENS, WIDTH), (TOKENS, WIDTH), (WIDTH,)], [True] * 3, 4 * n, 4 * n),
        "rotary": Chain(rotary, [heads, heads, angles, angles], [True, True, False, False], 4 * n, 4 * n),
        "focal loss": Chain(focal_loss, [(TOKENS, WIDTH), (TOKENS, WIDTH)], [True, False], 2 * n, 3 * n),
        "AdaLN": Chain(ada_ln, [(64, 256, 1152), (64, 1152), (64, 1152)], [True] * 3, 2 * 64 * 256 * 1152, 3 * 64 * 256 * 1152),
    }


def call_of(library, chain, dtype, function, with_backward):
    inputs = [randn(library, shape, dtype) for shape in chain.inputs]
    if chain.function is focal_loss:
        inputs[1] = (inputs[1] > 0).to(inputs[0].dtype)
    if not with_backward:
        def forward():
            with library.no_grad():
                return function(*inputs)

        return forward
    for tensor, wanted in zip(inputs, chain.wanted):
        tensor.requires_grad_(wanted)
    outputs = function(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = [library.ones_like(output) for output in outputs]
    by = [tensor for tensor, wanted in zip(inputs, chain.wanted) if wanted]

    def step():
        results = function(*inputs)
        results = results if isinstance(results, tuple) else (results,)
        return library.autograd.grad(results, by, weights)

    return step


def captured(library, call):
    """The call as a graph, and what it must keep alive."""
    side = library.cuda.Stream()
    side.wait_stream(library.cuda.current_stream())
    with library.cuda.stream(side):
        for _ in range(3):
            call()
    library.cuda.current_stream().wait_stream(side)
    graph = library.cuda.CUDAGraph()
    with library.cuda.graph(graph):
        kept = call()
    return graph.replay, (graph, kept)


def seconds_of(library, run, calls):
    start, end = library.cuda.Event(enable_timing=True), library.cuda.Event(enable_timing=True)
    run()
    start.record()
    for _ in range(calls):
        run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / calls / 1e3


def copy_rate():
    x = taut.empty(1 << 28, device="cuda")
    y = taut.empty_like(x)
    return 2 * 4 * (1 << 28) / min(seconds_of(taut, lambda: y.copy_(x), 10) for _ in range(3))


def measure(chain, options, with_backward, rate):
    contestants = {}
    fused = taut.fuse(chain.function(taut), wait=True)
    ours = call_of(taut, chain, options.dtype, fused, with_backward)
    ours()
    assert all(kind["is_ready"] for kind in fused.kinds), fused.explain()
    contestants["taut.fuse"] = (taut, ours)
    contestants["Taut"] = (taut, call_of(taut, chain, options.dtype, chain.function(taut), with_backward))
    contestants["PyTorch"] = (torch, call_of(torch, chain, options.dtype, chain.function(torch), with_backward))
    if options.compile:
        compiled = torch.compile(chain.function(torch))
        contestants["torch.compile"] = (torch, call_of(torch, chain, options.dtype, compiled, with_backward))
    kept = []
    for name, (library, call) in contestants.items():
        for _ in range(3):
            call()
        if options.eager_launch:
            continue
        replay, held = captured(library, call)
        kept.append((held, call))  # the graph reads the call's inputs
        contestants[name] = (library, replay)
    times = {name: [] for name in contestants}
    for _ in range(options.turns):
        for name, (library, call) in contestants.items():
            times[name].append(seconds_of(library, call, options.calls))
    item = 4 if options.dtype == "float32" else 2
    floor = item * (chain.forward + (chain.backward if with_backward else 0)) / rate
    return {name: statistics.median(values) for name, values in times.items()}, floor


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chains", nargs="*", help="run only the chains whose names have one of these words")
    parser.add_argument("--compile", action="store_true", help="PyTorch by torch.compile too")
    parser.add_argument("--dtype", default="bfloat16", help="float32, bfloat16 or float16 (bfloat16)")
    parser.add_argument("--eager-launch", action="store_true", help="time queued calls, not graphs")
    parser.add_argument("--turns", type=int, default=7, help="how often to time each (7)")
    parser.add_argument("--calls", type=int, default=20, help="calls to a time (20)")
    options = parser.parse_args()
    rate = copy_rate()
    print(f"{options.dtype}; a copy moves {rate / 1e9:.0f} GB/s")
    names = ["taut.fuse", "Taut", "PyTorch"] + (["torch.compile"] if options.compile else [])
    print(f"| chain | floor | {' | '.join(names)} | of the floor |" + (" taut.fuse / torch.compile |" if options.compile else ""))
    print("|---" * (len(names) + 3 + options.compile) + "|")
    for name, chain in chains().items():
        if options.chains and not any(word.lower() in name.lower() for word in options.chains):
            continue
        for with_backward in (False, True):
            times, floor = measure(chain, options, with_backward, rate)
            row = f"| {name}{', with backward' if with_backward else ''} | {floor * 1e6:.1f} us | "
            row += " | ".join(f"{times[contestant] * 1e6:.1f} us" for contestant in names)
            row += f" | {times['taut.fuse'] / floor:.2f} |"
            if options.compile:
                row += f" {times['taut.fuse'] / times['torch.compile']:.3f} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
