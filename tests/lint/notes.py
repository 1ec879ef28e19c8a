"""Fails when a comment refers to a note that no file holds, or when two files hold the same note.

A note is a comment line that begins with its bracketed title; other comments refer to it with "See" before it.
"""

import re
import sys

import tree

# The word is put together so that this file holds no note and no reference itself.
WORD = "No" + "te"
HELD = re.compile(rf"\s*(//|#|\*|/\*)?\s*{WORD} \[([^\]]+)\]")
NAMED = re.compile(rf"{WORD} \[([^\]]+)\]")
SEE = re.compile(r"\b[Ss]ee(\s+also)?$")
BUDGET = 10


def main():
    root = tree.parse_arguments(__doc__).root
    report = tree.Report("notes")
    paths = tree.files(root, suffixes=(*tree.CPP_SUFFIXES, ".py", ".cmake", ".sh"))
    held, named = {}, []
    for path in paths:
        before = ""
        for number, line in tree.lines(root, path):
            # A reference may break between "see" and the title.
            owner = None if SEE.search(before) else HELD.match(line)
            before = line
            if owner:
                title = owner.group(2)
                if title in held:
                    report.add(path, number, f"the note '{title}' already stands in {held[title]}; keep one")
                held[title] = path
                continue
            named += [(path, number, title) for title in NAMED.findall(line)]
    for path, number, title in named:
        if title not in held:
            known = ", ".join(sorted(held)) or "none"
            report.add(path, number, f"no file holds the note '{title}'; there are: {known}")
    if len(held) > BUDGET:
        print(f"notes: {len(held)} notes; above {BUDGET} they are no longer read (this does not fail)")
    report.finish(len(paths))


if __name__ == "__main__":
    sys.exit(main())
