"""Runs clang-tidy over the C++ sources of a build tree, on all cores, and fails when it finds something.

tidy.py BUILD [FILE ...]: FILE are globs relative to the source tree; without any, all of src/, kernels/ and python/src/.
"""

import concurrent.futures
import fnmatch
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# clang does not know these flags of g++, and what g++ warns of is not asked for twice.
GCC_ONLY = re.compile(
    r"^(-fpch-preprocess|-Winvalid-pch|-fno-trapping-math|-fno-reorder-blocks-and-partition|-Wno-maybe-uninitialized)$"
)


def clang_database(build):
    """The compile commands of the build tree in a form that clang reads, without precompiled headers."""
    entries = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    kept = []
    for entry in entries:
        if not entry["file"].endswith(".cpp") or "cmake_pch" in entry["file"]:
            continue
        words = [word for word in entry["command"].split() if not GCC_ONLY.match(word)]
        entry["command"] = " ".join(words)
        kept.append(entry)
    folder = build / "tidy"
    folder.mkdir(exist_ok=True)
    (folder / "compile_commands.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder, kept


def main():
    build = Path(sys.argv[1]).resolve()
    globs = sys.argv[2:] or ["src/*", "kernels/*", "python/src/*"]
    folder, entries = clang_database(build)
    files = sorted({entry["file"] for entry in entries})
    files = [file for file in files if any(fnmatch.fnmatch(os.path.relpath(file, ROOT), glob) for glob in globs)]
    if not files:
        print(f"tidy: no source matches {' '.join(globs)}")
        return 1

    def check(file):
        command = ["clang-tidy", "--quiet", "-p", folder, file]
        return file, subprocess.run(command, capture_output=True, text=True, check=False)

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, run in pool.map(check, files):
            if run.returncode or "warning:" in run.stdout:
                failed += 1
                print(run.stdout or run.stderr)
    print(f"tidy: {len(files)} file(s), {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
