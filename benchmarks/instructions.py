#!/usr/bin/env python3
"""Counts the instructions of small ops under callgrind and prints them beside their bars.

Each op runs N and 2N times; the difference over N is what one costs, free of start-up. Counts do not depend on how busy
the machine is, so they are what a gate may be made of.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# case: what it is, how many ops it counts, the bar (None: none)
CASES = {
    "add_1": ("a + b, 1 float", 1, 600),
    "add_64": ("a + b, 64 floats", 1, 600),
    "add_with_graph": ("a + b, on the tape", 1, None),
    "mul_with_graph": ("a * b, on the tape", 1, None),
    "add_number": ("a + 1.0", 1, None),
    "view": ("a.view({16, 4})", 1, None),
    "empty": ("empty({1})", 1, None),
    "chain_100": ("one op of 100, forward and backward", 100, None),
}


def count(program, case, times, folder):
    """The instructions of the whole program."""
    out = Path(folder, f"{case}.{times}")
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", str(program), case, str(times)],
        capture_output=True, text=True, check=False, env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
    )
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not found:
        sys.exit(f"valgrind failed on {case}:\n{run.stderr}")
    return int(found.group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="the build folder")
    parser.add_argument("--case", action="append", choices=CASES, help="only these cases")
    arguments = parser.parse_args()
    program = arguments.build / "benchmarks/instructions"
    if not shutil.which("valgrind"):
        sys.exit("valgrind was not found (apt install valgrind)")
    if not program.is_file():
        sys.exit(f"{program} is not there; build it: cmake --build {arguments.build} --target benchmark_instructions")

    print(f"{'case':<38}{'instructions':>13}{'bar':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for case in arguments.case or CASES:
            title, ops, bar = CASES[case]
            times = 40_000 // ops  # start-up differs by some ten thousand from run to run
            each = (count(program, case, 2 * times, folder) - count(program, case, times, folder)) / times / ops
            verdict = "" if bar is None else "  pass" if each <= bar else "  FAIL"
            print(f"{title:<38}{each:>13.0f}{bar or '':>7}{verdict}", flush=True)


if __name__ == "__main__":
    main()
