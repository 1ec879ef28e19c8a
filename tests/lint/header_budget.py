"""Compiles each public header alone: it must include what it uses, and cost no more than its budget of CPU seconds.

The budgets hold on a machine that compiles the reference file in REFERENCE_SECONDS; on a slower or a busy one they grow
in proportion, up to twice. How busy it is changes: a header that costs more is tried again beside the reference.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tree

BUDGETS = {"taut/taut.h": 1.5, "taut/core/tensor.h": 0.8}
BUDGET = 0.9
REFERENCE = "#include <string>\n#include <vector>\n#include <optional>\n#include <memory>\n"
REFERENCE_SECONDS = 0.4
MOST_SLACK = 2.0
RETRIES = 4


def compile_seconds(command, source):
    """CPU seconds of one compiler run, and its messages when it failed."""
    with tempfile.TemporaryFile("w+") as messages:
        child = subprocess.Popen(
            [*command, source], stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, env={**os.environ, "LC_ALL": "C"}
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        messages.seek(0)
        return usage.ru_utime + usage.ru_stime, messages.read() if child.returncode else None


def slack(command, reference, times):
    """By how much the budgets grow on the machine as it is now."""
    seconds = min(compile_seconds(command, reference)[0] for _ in range(times))
    return min(MOST_SLACK, max(1.0, seconds / REFERENCE_SECONDS))


def main():
    def more(parser):
        parser.add_argument("--compiler", default="g++")
        parser.add_argument("--include", action="append", default=[], help="one more include folder")

    arguments = tree.parse_arguments(__doc__, more)
    root = arguments.root
    report = tree.Report("header_budget")
    command = [arguments.compiler, "-std=c++20", "-fsyntax-only", "-fopenmp", f"-I{root / 'include'}"]
    command += [f"-I{folder}" for folder in arguments.include] + ["-x", "c++"]
    headers = tree.files(root, ("include",), (".h",))

    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder, "reference.cpp")
        reference.write_text(REFERENCE)
        factor = slack(command, reference, 3)

        def check(header):
            name = header.relative_to("include").as_posix()
            source = Path(folder, name.replace("/", "_") + ".cpp")
            source.write_text(f'#include "{name}"\n')
            budget = BUDGETS.get(name, BUDGET)
            limit = budget * factor
            seconds, messages = compile_seconds(command, source)
            for _ in range(RETRIES):
                if messages is not None or seconds <= limit:
                    break
                limit = budget * slack(command, reference, 1)
                seconds = compile_seconds(command, source)[0]
            return header, seconds, limit, messages

        with ThreadPoolExecutor(2) as pool:
            rows = list(pool.map(check, headers))

    for header, seconds, limit, messages in rows:
        if messages is not None:
            first = next((line for line in messages.splitlines() if "error" in line), messages.strip())
            report.add(header, 1, f"does not compile alone; include what it uses: {first}")
        elif seconds > limit:
            report.add(header, 1, f"costs {seconds:.2f} CPU s; at most {limit:.2f}: forward-declare, or move code to the .cpp")
    dearest = sorted(rows, key=lambda row: -row[1])[:5]
    print(f"machine factor {factor:.2f}; dearest: " + ", ".join(f"{h.name} {s:.2f} s" for h, s, _, _ in dearest))
    report.finish(len(headers))


if __name__ == "__main__":
    sys.exit(main())
