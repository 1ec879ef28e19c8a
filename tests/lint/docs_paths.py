"""Fails when README.md or a page of docs/ names a file, a link target, a C++ symbol, a Python name, a make target or a
CMake option that does not exist.

Only what stands in `code` is read as a name: a path of the tree, `taut::symbol`, `taut.name`, `make target`, `TAUT_OPTION`.
"""

import re
import sys
from pathlib import Path

import tree

TOP_LEVEL = ("include", "src", "kernels", "python", "tests", "benchmarks", "examples", "cmake", "docs", ".ci")
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(rf"^((?:{'|'.join(re.escape(name) for name in TOP_LEVEL)})/[\w./+-]*)")
CPP = re.compile(r"\btaut((?:::\w+)+)")
PY = re.compile(r"\btaut((?:\.[A-Za-z_]\w*)+)")
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)")
OPTION = re.compile(r"\b(TAUT_[A-Z][A-Z0-9_]+)\b")
# Things that are not on disk: what is built, and patterns.
PATTERN = re.compile(r"[*<>{}]|\.\.\.")


def words(root, folders, suffixes):
    """Every identifier in the files."""
    found = set()
    for path in tree.files(root, folders, suffixes):
        found.update(re.findall(r"\w+", (root / path).read_text(encoding="utf-8", errors="replace")))
    return found


def pages(root):
    readme = [Path("README.md")] if (root / "README.md").is_file() else []
    return readme + tree.files(root, ("docs",), (".md",))


class Names:
    """What exists in the tree, read once."""

    def __init__(self, root):
        self.root = root
        self.cpp = words(root, ("include",), (".h", ".def"))
        if (root / "include").is_dir():
            self.cpp |= {"taut", "config"}
        self.python = words(root, ("python",), (".py", ".pyi", ".cpp", ".h")) | words(root, ("include/taut/ops/lists",), (".def",))
        options = words(root, ("cmake", "include", "src", "kernels", "tests", "python"), (".cmake", ".h", ".cpp", ".txt", ".in", ".py"))
        self.options = {word for word in options if word.startswith("TAUT_")}
        makefile = root / "Makefile"
        text = makefile.read_text(encoding="utf-8") if makefile.is_file() else ""
        self.targets = set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))

    def missing(self, code):
        """What a piece of code names in vain, each with the reason."""
        path = PATH.match(code)
        if path and not PATTERN.search(code):
            name = path.group(1).rstrip("/.")
            if not (self.root / name).exists():
                yield f"'{name}' does not exist"
        for match in CPP.finditer(code):
            for part in match.group(1).split("::")[1:]:
                if part not in self.cpp:
                    yield f"no public header has '{part}' (taut{match.group(1)})"
        # A file such as taut.pc or taut.h is not a Python name.
        for match in PY.finditer(code):
            parts = match.group(1).split(".")[1:]
            if self.python and not (self.root / "include/taut" / f"taut.{parts[0]}").exists() and parts[0] not in ("pc", "h", "so"):
                for part in parts:
                    if part not in self.python:
                        yield f"the Python package has no '{part}' (taut{match.group(1)})"
        for match in MAKE.finditer(code):
            if match.group(1) not in self.targets:
                yield f"the Makefile has no target '{match.group(1)}'"
        for match in OPTION.finditer(code):
            name = match.group(1)
            if name not in self.options and not name.endswith("_"):
                yield f"nothing in the tree reads '{name}'"


def check_page(root, page, names, report):
    fenced = False
    for number, line in tree.lines(root, page):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        if fenced:
            # Code blocks are run by tests/docs; their make targets and options are worth a look all the same.
            for match in MAKE.finditer(line):
                if line.lstrip().startswith("make ") and match.group(1) not in names.targets:
                    report.add(page, number, f"the Makefile has no target '{match.group(1)}'")
            continue
        for code in CODE.findall(line):
            for reason in names.missing(code):
                report.add(page, number, f"{reason}; mend the page or the tree")
        for target in LINK.findall(line):
            target = target.split("#")[0]
            if target and "://" not in target and not target.startswith("mailto:"):
                if not (root / page.parent / target).exists():
                    report.add(page, number, f"the link '{target}' leads nowhere")


def main():
    root = tree.parse_arguments(__doc__).root
    report = tree.Report("docs_paths")
    names = Names(root)
    found = pages(root)
    for page in found:
        check_page(root, page, names, report)
    report.finish(len(found))


if __name__ == "__main__":
    sys.exit(main())
