#!/usr/bin/env python3
"""Random allocations and frees on a nearly full GPU, in Taut and in PyTorch: how many fail.

    PYTHONPATH=build/gpu/python python3 benchmarks/gpu/fragmentation.py [--memory GIB] [--calls N] [--seed N]

Each library runs in a process of its own, may hold --memory GiB in all, and gets the same sizes: 512 bytes to an eighth
of the memory, every order of magnitude as often as any other. Before each allocation tensors drawn at random are freed
until the new one fits into 95 % of the memory; one that fails all the same found only fragments. A failure frees one
more tensor and the run goes on.
"""

import argparse
import importlib
import math
import random
import subprocess
import sys
import time

OCCUPANCY = 0.95


def run(library, memory, calls, seed):
    draws = random.Random(seed)
    library.cuda.set_per_process_memory_fraction(memory / library.cuda.mem_get_info()[1])
    room = int(OCCUPANCY * memory)
    least, most = math.log(512), math.log(memory / 8)
    held, total, failures, fullest = [], 0, 0, 0
    start = time.perf_counter()

    def free_one():
        nonlocal total
        i = draws.randrange(len(held))
        held[i], held[-1] = held[-1], held[i]
        total -= held.pop().numel()

    for _ in range(calls):
        size = int(math.exp(draws.uniform(least, most)))
        while total + size > room:
            free_one()
        try:
            held.append(library.empty(size, dtype=library.uint8, device="cuda"))
            total += size
        except (MemoryError, RuntimeError) as error:
            if "memory" not in str(error):
                raise
            failures += 1
            if held:
                free_one()
        fullest = max(fullest, total)
    seconds = time.perf_counter() - start
    print(
        f"| {library.__name__} | {failures} of {calls} | {fullest / memory:.3f} | "
        f"{library.cuda.max_memory_reserved() / memory:.3f} | {seconds / calls * 1e6:.1f} us |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=float, default=16, help="GiB that the process may hold (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=10_000, help="allocations (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the sizes and of what is freed (default: %(default)s)")
    parser.add_argument("--library", choices=("taut", "torch"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.library:
        memory = int(options.memory * 2**30)
        return run(importlib.import_module(options.library), memory, options.calls, options.seed)
    print(f"{options.calls} allocations, seed {options.seed}, {options.memory:g} GiB")
    print("| library | failures | most in use | most reserved | a call |\n|---|---|---|---|---|", flush=True)
    for library in ("taut", "torch"):
        subprocess.run([sys.executable, *sys.argv, "--library", library], check=True)


if __name__ == "__main__":
    main()
