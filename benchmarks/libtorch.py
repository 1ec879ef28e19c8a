#!/usr/bin/env python3
"""Compiles benchmarks/against_libtorch.inl against Taut and against LibTorch, runs the two programs by turns and prints the ratios.

    python3 benchmarks/libtorch.py --build build/release      # with a Python that has torch

LibTorch takes half a minute to compile; the program is kept in the build folder.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "benchmarks/against_libtorch.inl"
# case: what it is, and the bar on Taut's time over LibTorch's
CASES = {
    "add_1": ("a + b, 1 float", 1 / 8),
    "add_64": ("a + b, 64 floats", 1 / 8),
    "add_with_graph": ("a + b, 1 float, on the tape", 1 / 8),
    "view": ("a.view({16, 4})", 1 / 6),
    "chain_100": ("one op of 100, forward and backward", 1 / 8),
    "adamw_training_step": ("AdamW step of a 16-16-1 MLP", 1 / 10),
    "adamw_step_alone": ("the same, optimizer.step() alone", None),
    "mlp_1": ("MLP 784-256-128-10, batch 64, 1 thread", 0.5),
    "mlp_2": ("MLP 784-256-128-10, batch 64, 2 threads", 0.5),
    "cnn_1": ("CNN for 28 x 28, batch 64, 1 thread", 1.0),
    "cnn_2": ("CNN for 28 x 28, batch 64, 2 threads", 1.0),
}


def compile_program(program, flags, newer_than):
    times = [path.stat().st_mtime for path in (SOURCE, *newer_than)]
    if program.exists() and program.stat().st_mtime > max(times):
        return
    command = [os.environ.get("CXX", "g++"), "-O2", "-x", "c++", SOURCE, "-o", program, *flags]
    print("compiling", program.name, flush=True)
    subprocess.run(command, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="the build folder")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    try:
        import torch
    except ImportError:
        sys.exit("torch not found: run this script with a Python that has torch, whose wheel brings LibTorch")
    peer = Path(torch.__file__).parent
    (build / "benchmarks").mkdir(exist_ok=True)
    ours, theirs = build / "benchmarks/against_libtorch_taut", build / "benchmarks/against_libtorch_peer"
    compile_program(ours, ["-std=c++20", f"-I{ROOT / 'include'}", f"-I{build / 'include'}", f"-L{build / 'lib'}", "-ltaut",
                           f"-Wl,-rpath,{build / 'lib'}"], [build / "lib/libtaut.so"])  # fmt: skip
    abi = int(torch.compiled_with_cxx11_abi())
    compile_program(theirs, ["-std=c++20", "-DAGAINST_LIBTORCH", f"-D_GLIBCXX_USE_CXX11_ABI={abi}", f"-I{peer / 'include'}",
                             f"-I{peer / 'include/torch/csrc/api/include'}", f"-L{peer / 'lib'}", "-Wl,--no-as-needed",
                             "-ltorch_cpu", "-lc10", "-ltorch", f"-Wl,-rpath,{peer / 'lib'}"], [])  # fmt: skip

    best = {ours: {}, theirs: {}}
    for _ in range(arguments.rounds):
        for program, times in best.items():
            output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
            for name, value in (line.split() for line in output.splitlines()):
                times[name] = min(times.get(name, float("inf")), float(value))

    print(f"\nLibTorch {torch.__version__}, nanoseconds\n\n{'case':<40}{'taut':>10}{'libtorch':>10}{'ratio':>8}{'bar':>8}")
    for name, (title, bar) in CASES.items():
        ratio = best[ours][name] / best[theirs][name]
        verdict = "" if bar is None else f"{bar:>8.3f}  {'pass' if ratio <= bar else 'FAIL'}"
        print(f"{title:<40}{best[ours][name]:>10.0f}{best[theirs][name]:>10.0f}{ratio:>8.3f}{verdict}")


if __name__ == "__main__":
    main()
