"""What the lint checks share: the files of the tree, and one way to report.

A check prints `file:line: what is wrong; what to do` for each finding and exits 1 when there is one.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE_FOLDERS = ("include", "src", "kernels", "python", "tests", "benchmarks", "examples", "cmake")
CPP_SUFFIXES = (".h", ".cpp", ".cu", ".cuh", ".inl", ".def")


def parse_arguments(description, add_arguments=None):
    """The arguments that every check takes: --root, the tree to read."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, default=ROOT, help="the tree to check")
    if add_arguments:
        add_arguments(parser)
    return parser.parse_args()


def files(root, folders=CODE_FOLDERS, suffixes=CPP_SUFFIXES):
    """The files with one of the suffixes below the folders, in a stable order, as paths relative to root."""
    found = []
    for folder in folders:
        for directory, names, leaves in os.walk(root / folder):
            names[:] = sorted(name for name in names if name != "__pycache__" and not name.startswith("."))
            found += [
                Path(directory, leaf).relative_to(root) for leaf in sorted(leaves) if leaf.endswith(tuple(suffixes))
            ]
    return found


def lines(root, path):
    """The lines of a file, numbered from 1."""
    return enumerate((root / path).read_text(encoding="utf-8", errors="replace").splitlines(), start=1)


class Report:
    """Collects findings; `finish` prints the verdict and ends the process."""

    def __init__(self, name):
        self.name = name
        self.findings = 0

    def add(self, path, line, message):
        print(f"{path}:{line}: {message}")
        self.findings += 1

    def finish(self, checked):
        if self.findings:
            print(f"{self.name}: {self.findings} finding(s) in {checked} file(s)")
            sys.exit(1)
        print(f"{self.name}: {checked} file(s), nothing found")
        sys.exit(0)
