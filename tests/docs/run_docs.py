"""Runs the code of README.md and docs/: every ```python block, and every ```cpp block that has a main().

The Python blocks of one page share a namespace and run in order, in an empty folder. A block that needs the network or
another library is marked ```python no-run; nothing else is. A failure is reported with the page's own line number.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FENCE = re.compile(r"^( *)(```+)\s*([^`]*)$")
TIMEOUT = 300

RUNNER = """
import sys
namespace = {"__name__": "__main__"}
for path in sys.argv[2:]:
    exec(compile(open(path, encoding="utf-8").read(), sys.argv[1], "exec"), namespace)
"""


def blocks(page):
    """The code blocks of a page as (info string, number of the first line of code, text)."""
    found, info, indent, fence, start, body = [], None, "", "", 0, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        match = FENCE.match(line)
        if info is None:
            if match:
                indent, fence, info = match.groups()
                start, body = number + 1, []
        elif match and match.group(2) == fence and not match.group(3):
            found.append((info.split(), start, "\n".join(body) + "\n"))
            info = None
        else:
            body.append(line[len(indent):] if line.startswith(indent) else line)
    return found


def run(command, **options):
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT, check=False, **options
        )
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        return 124, f"{error.stdout or ''}\nstopped after {TIMEOUT} s"


def run_python(page, title, arguments):
    """Runs the Python blocks of a page; returns how many, and what went wrong or None."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for info, start, text in blocks(page):
            if info[:1] == ["python"] and "no-run" not in info:
                # Empty lines before the code give it the line numbers of the page.
                path = Path(folder, f".block{len(paths)}.py")
                path.write_text("\n" * (start - 1) + text, encoding="utf-8")
                paths.append(path)
        if not paths:
            return 0, None
        runner = Path(folder, ".runner.py")
        runner.write_text(RUNNER, encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(arguments.python_path), "MPLBACKEND": "Agg"}
        code, output = run([sys.executable, runner, title, *paths], cwd=folder, env=environment)
        return len(paths), output if code else None


def run_cpp(title, start, text, arguments):
    """Compiles and runs one C++ block; returns what went wrong or None."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "block.cpp"), Path(folder, "block")
        source.write_text(f'#line {start} "{title}"\n{text}', encoding="utf-8")
        library = arguments.build / "lib"
        command = [arguments.compiler, "-std=c++20", "-Wall", "-Wextra", source, "-o", program]
        command += [f"-I{arguments.root / 'include'}", f"-I{arguments.build / 'include'}"]
        command += [f"-L{library}", "-ltaut", f"-Wl,-rpath,{library}"]
        code, output = run(command)
        if code == 0:
            code, output = run([program], cwd=folder)
        return f"{title}:{start}:\n{output}" if code else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--python-path", type=Path, help="the folder of the built package; without it Python is left out")
    parser.add_argument("--page", type=Path, action="append", help="only these pages")
    arguments = parser.parse_args()

    readme = arguments.root / "README.md"
    pages = arguments.page or ([readme] if readme.is_file() else []) + sorted((arguments.root / "docs").rglob("*.md"))
    counted, failures = {"python": 0, "cpp": 0}, []

    def check(page):
        title = str(page.relative_to(arguments.root) if page.is_relative_to(arguments.root) else page)
        found = []
        if arguments.python_path:
            count, problem = run_python(page, title, arguments)
            counted["python"] += count
            found += [f"{title}:\n{problem}"] if problem is not None else []
        for info, start, text in blocks(page):
            if info[:1] == ["cpp"] and "no-run" not in info and re.search(r"\bint main\(", text):
                counted["cpp"] += 1
                problem = run_cpp(title, start, text, arguments)
                found += [problem] if problem else []
        return found

    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(check, pages):
            failures += found
    for failure in failures:
        print(failure)
    print(
        f"docs: {len(pages)} page(s), {counted['python']} Python block(s), {counted['cpp']} C++ program(s), "
        f"{len(failures)} failure(s)"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
