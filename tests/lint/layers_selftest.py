"""The layer check must find a bad include in a tree made for it, and accept a good one."""

import sys
import tempfile
from pathlib import Path

import layers

# A file, its one include, and what the check must say (None: nothing).
CASES = [
    ("src/ops/a.cpp", "taut/core/tensor.h", None),
    ("src/ops/a.cpp", "kernels/api/table.h", None),
    ("src/ops/a.cpp", "kernels/norm/norm.h", None),
    ("src/core/a.cpp", "taut/base/check.h", None),
    ("src/nn/a.cpp", "taut/core/tensor.h", None),
    ("src/nn/a.cpp", "vector", None),
    ("src/autograd/engine.cpp", "taut/ops/math.h", None),
    ("src/distributed/ddp.cpp", "taut/nn/module.h", None),
    ("kernels/norm/norm_cpu.cpp", "taut/core/dims.h", None),
    ("kernels/norm/norm_cpu.cpp", "kernels/norm/norm.h", None),
    ("kernels/table_cpu.cpp", "kernels/norm/norm.h", None),
    ("src/core/a.cpp", "taut/base/config.h", None),
    ("src/core/a.cpp", "taut/ops/math.h", "core may not include"),
    ("src/base/a.cpp", "taut/core/tensor.h", "base may not include"),
    ("src/nn/a.cpp", "kernels/api/table.h", "nn may not include"),
    ("src/io/a.cpp", "taut/ops/math.h", "io may not include"),
    ("src/autograd/node.cpp", "taut/ops/math.h", "autograd/graph may not include"),
    ("src/distributed/store.cpp", "taut/nn/module.h", "distributed may not include"),
    ("src/ai/client.cpp", "taut/core/tensor.h", "ai may not include"),
    ("src/ops/a.cpp", "kernels/norm/norm_cpu.h", "ops may not include"),
    ("src/ops/a.cpp", "taut/taut.h", "is for users"),
    ("src/ops/a.cpp", "taut/ops/absent.h", "does not exist"),
    ("include/taut/ops/a.h", "kernels/api/table.h", "is private"),
    ("kernels/norm/norm_cpu.cpp", "taut/core/tensor.h", "plain types only"),
    ("kernels/norm/norm_cpu.cpp", "kernels/conv/conv.h", "another family"),
    ("python/src/a.cpp", "src/core/secret.h", "is private"),
    ("src/nowhere/a.cpp", "vector", "is not a floor"),
]
HEADERS = [
    "include/taut/taut.h", "include/taut/base/check.h", "include/taut/core/tensor.h", "include/taut/core/dims.h",
    "include/taut/ops/math.h", "include/taut/nn/module.h", "src/core/secret.h", "kernels/api/table.h",
    "kernels/norm/norm.h", "kernels/norm/norm_cpu.h", "kernels/conv/conv.h",
]


class Findings:
    """Stands in for tree.Report: keeps what the check says."""

    def __init__(self):
        self.lines = []

    def add(self, path, line, message):
        self.lines.append(f"{path}:{line}: {message}")


def findings(path, include):
    """What the check says of a tree that holds HEADERS and one file with one include."""
    report = Findings()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in [*HEADERS, path]:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("#pragma once\n")
        (root / path).write_text(f'#include "{include}"\n')
        layers.check_tree(root, report)
    return report.lines


def main():
    failures = 0
    for path, include, expected in CASES:
        found = findings(path, include)
        good = not found if expected is None else any(f"{path}:1: " in line and expected in line for line in found)
        if not good:
            failures += 1
            print(f"{path} including {include}: expected {expected or 'no finding'}; got {found}")
    print(f"layers_selftest: {len(CASES) - failures} of {len(CASES)} cases as expected")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
