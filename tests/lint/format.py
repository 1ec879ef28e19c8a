"""Fails on a C++ or CUDA file that clang-format would change."""

import os
import shutil
import subprocess
import sys

import tree

VERSION = "18."
SKIPPED = 77  # ctest's word for "not here"


def find_clang_format(root):
    """The clang-format that cmake/setup.sh installs, or the system's when it is the same version."""
    for candidate in (root / "build/venv/bin/clang-format", "clang-format-18", "clang-format"):
        program = shutil.which(candidate)
        if program:
            version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
            if f"version {VERSION}" in version:
                return program
    return None


def main():
    root = tree.parse_arguments(__doc__).root
    program = find_clang_format(root)
    if program is None:
        print(f"format: skipped; no clang-format {VERSION}x here (cmake/setup.sh installs it)")
        return SKIPPED
    paths = tree.files(root)
    if not paths:
        return 0
    run = subprocess.run(
        [program, "--dry-run", *map(str, paths)], cwd=root, capture_output=True, text=True, check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    report = tree.Report("format")
    seen = set()
    for line in run.stderr.splitlines():
        place, separator, _ = line.partition(": warning: code should be clang-formatted")
        if separator:
            path, number = place.split(":")[:2]
            if path not in seen:
                seen.add(path)
                report.add(path, number, "is not formatted; run `make format`")
    if run.returncode and not seen:
        print(run.stderr)
        return 1
    report.finish(len(paths))
    return 0


if __name__ == "__main__":
    sys.exit(main())
