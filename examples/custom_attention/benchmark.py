"""The attention of this folder against Taut's own and, where torch is there, PyTorch's: needs a GPU.

    PYTHONPATH=build/cuda/python python3 examples/custom_attention/benchmark.py

The rates are of the products alone, as others count: half of the scores are left out when causal; the backward makes five
products where the forward makes two.
"""

import sys
import time

import taut
from custom_attention import WIDTH, attention

BATCH, HEADS = 4, 16
CALLS, TURNS = 20, 3


def flops(length, is_causal):
    return 4 * BATCH * HEADS * length * length * WIDTH * (0.5 if is_causal else 1.0)


def seconds(library, call):
    """Of one call, the best turn of several calls in a row."""
    call()
    best = float("inf")
    for _ in range(TURNS):
        library.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        library.cuda.synchronize()
        best = min(best, (time.perf_counter() - start) / CALLS)
    return best


def rates(library, function, length, dtype, is_causal):
    """TFLOP/s of the forward and of both directions."""
    shape = (BATCH, HEADS, length, WIDTH)
    query, key, value = (
        library.randn(*shape, device="cuda", dtype=getattr(library, dtype)).requires_grad_() for _ in range(3)
    )
    grad = library.randn(*shape, device="cuda", dtype=getattr(library, dtype))

    def forward():
        with library.no_grad():
            function(query, key, value, is_causal=is_causal)

    def both():
        y = function(query, key, value, is_causal=is_causal)
        library.autograd.grad(y, (query, key, value), grad)

    work = flops(length, is_causal)
    return work / seconds(library, forward) / 1e12, 3.5 * work / seconds(library, both) / 1e12


def main():
    if not taut.cuda.is_available():
        sys.exit("benchmark: no GPU")
    columns = [("this op", taut, attention), ("Taut", taut, taut.nn.functional.scaled_dot_product_attention)]
    try:
        import torch

        columns.append(("PyTorch", torch, torch.nn.functional.scaled_dot_product_attention))
    except ImportError:
        pass
    print(f"TFLOP/s forward / with backward on {taut.cuda.get_device_name()}, batch {BATCH}, {HEADS} heads of {WIDTH}")
    print("| dtype | length | causal | " + " | ".join(name for name, _, _ in columns) + " |")
    print("|---|---|---|" + "---|" * len(columns))
    for dtype in ("float32", "bfloat16"):
        for length in (1024, 4096):
            for is_causal in (False, True):
                cells = []
                for _, library, function in columns:
                    forward, both = rates(library, function, length, dtype, is_causal)
                    cells.append(f"{forward:.1f} / {both:.1f}")
                print(f"| {dtype} | {length} | {is_causal} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
