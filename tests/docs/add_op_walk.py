"""Performs the walk of docs/contributing.md, "Add an elementwise op", in a copy of the tree.

The page's own code blocks are what is applied, so page and tree cannot part. The words after the language say what a
block is for:

    append FILE              the block goes to the end of FILE
    insert FILE after WORD   it goes after the one line of FILE in which WORD stands
    no-run walk              the program that tries the new op; it is compiled against the copy and run

The copy stays in the build folder between runs, so that only what changed is compiled again; it is built without
optimisation and for one instruction set.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from run_docs import blocks

PAGE = "docs/contributing.md"
PARTS = ("CMakeLists.txt", "cmake", "include", "kernels", "src", "tests/ops/references.h")


def fail(message):
    print(message)
    sys.exit(1)


def source_files(root):
    for part in PARTS:
        path = root / part
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (file.relative_to(root) for file in found if file.is_file() and "__pycache__" not in file.parts)


def put(path, content):
    """Writes a file only when that changes it: an equal one keeps its time and is not compiled again."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def edited(root, steps):
    """The files that the page changes, by name, with their new text."""
    texts = {}
    for info, number, text in steps:
        where = f"{PAGE}:{number}"
        if len(info) < 3:
            fail(f"{where}: '{info[1]}' needs a file")
        name = info[2]
        if name not in texts:
            if not (root / name).is_file():
                fail(f"{where}: there is no file '{name}'")
            texts[name] = (root / name).read_text(encoding="utf-8")
        if info[1] == "append":
            texts[name] += "\n" + text
            continue
        if len(info) != 5 or info[3] != "after":
            fail(f"{where}: expected 'insert FILE after WORD'; got '{' '.join(info[1:])}'")
        lines = texts[name].splitlines(keepends=True)
        found = [i for i, line in enumerate(lines) if re.search(rf"\b{re.escape(info[4])}\b", line)]
        if len(found) != 1:
            fail(f"{where}: '{info[4]}' stands in {len(found)} lines of {name}; expected one")
        lines.insert(found[0] + 1, text)
        texts[name] = "".join(lines)
    return texts


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode:
        fail(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="the folder for the copy and its build")
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--cmake", default="cmake")
    arguments = parser.parse_args()
    root, tree, build = arguments.root, arguments.work / "tree", arguments.work / "build"

    found = [block for block in blocks(root / PAGE) if len(block[0]) > 1]
    steps = [block for block in found if block[0][1] in ("append", "insert")]
    programs = [block for block in found if block[0][1:] == ["no-run", "walk"]]
    if not steps or len(programs) != 1:
        fail(f"{PAGE}: expected steps and one program; got {len(steps)} and {len(programs)}")

    texts = edited(root, steps)
    names = set(source_files(root))
    for name in sorted(names):
        text = texts.get(str(name))
        put(tree / name, (root / name).read_bytes() if text is None else text.encode())
    if tree.is_dir():
        for name in set(source_files(tree)) - names:
            (tree / name).unlink()

    configure = [arguments.cmake, "-S", tree, "-B", build, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={arguments.compiler}"]
    configure += ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0", "-DCMAKE_CXX_FLAGS=-DTAUT_ONE_TARGET=1"]
    configure += [f"-DTAUT_{what}=OFF" for what in ("WITH_CUDA", "WITH_ONEDNN", "WITH_PYTHON")]
    configure += [f"-DTAUT_BUILD_{what}=OFF" for what in ("TESTS", "EXAMPLES", "BENCHMARKS")]
    run(configure)
    run([arguments.cmake, "--build", build, "-j", str(min(2, os.cpu_count() or 1)), "--target", "taut"])

    _, start, text = programs[0]
    source, program, library = arguments.work / "walk.cpp", arguments.work / "walk", build / "lib"
    source.write_text(f'#line {start} "{PAGE}"\n{text}', encoding="utf-8")
    run([arguments.compiler, "-std=c++20", source, "-o", program, f"-I{tree}", f"-I{tree / 'include'}", f"-I{build / 'include'}",
         f"-L{library}", "-ltaut", f"-Wl,-rpath,{library}"])  # fmt: skip
    print(run([program]), end="")
    print(f"walk: {len(steps)} step(s) of {PAGE} applied, built and run")


if __name__ == "__main__":
    main()
