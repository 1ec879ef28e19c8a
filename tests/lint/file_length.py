"""Fails on a source file of more than 800 lines, and names those of more than 400: a long file holds two concepts."""

import sys

import tree

HARD = 800
SOFT = 400


def main():
    root = tree.parse_arguments(__doc__).root
    report = tree.Report("file_length")
    # Stubs (.pyi) list the whole interface of a module and may be long.
    paths = tree.files(root, suffixes=(*tree.CPP_SUFFIXES, ".py", ".cmake", ".sh", "CMakeLists.txt"))
    for path in paths:
        count = sum(1 for _ in tree.lines(root, path))
        if count > HARD:
            report.add(path, HARD + 1, f"{count} lines; at most {HARD}: split the file by concept")
        elif count > SOFT:
            print(f"{path}: {count} lines; consider a split above {SOFT} (this does not fail)")
    report.finish(len(paths))


if __name__ == "__main__":
    sys.exit(main())
