"""Fails when an op ends in record() without the scope that shows a profiler its beginning.

An op that records itself opens `const TraceScope scope(ScopeKind::op, ...)` before it works; without one it is a bar of no
length in a profile (docs/design/profiler.md). Helpers that record for ops which have a scope are listed below. So that it
cannot stop finding any, the check first tries itself on functions that are wrong.
"""

import re

import tree

RECORD = re.compile(r"\brecord(?:_all|_constant|_in_place)?(?:<\w+>)?\(")
SCOPE = re.compile(r"\bTraceScope\b")
# A function: from a line without indentation to the next line that is a closing brace alone.
FUNCTION = re.compile(r"^[A-Za-z\[][^\n;]*(?:\n[ ]{4,}[^\n;]*)*\{\n(?:(?:[^}\n][^\n]*)?\n)*\}", re.MULTILINE)
NAME = re.compile(r"(\w+)\(")
# Called by ops that have opened a scope.
HELPERS = {
    "finish_max_pool", "record_pieces", "record_picked",
    "prod_shares",  # makes a refusal of second derivatives, not an op
    "fused_mlp", "put_on_tape",
}
GOOD = "Tensor f(const Tensor& a) {\n  const TraceScope scope(ScopeKind::op, \"f\");\n  return record(\"f\", {a}, a);\n}\n"
BAD = (
    "Tensor f(const Tensor& a) {\n  return record(\"f\", {a}, a);\n}\n",
    GOOD + "Tensor g(const Tensor& a,\n         int b) {\n\n  if (b) {\n  }\n  return autograd::record_all(\"g\", {a}, a);\n}\n",
)


def findings(text):
    """(line, name) of each function that records and has no scope."""
    found = []
    for function in FUNCTION.finditer(text):
        body = re.sub(r"//[^\n]*", "", function[0])
        name = NAME.search(body)
        if name is None or name[1] in HELPERS or not RECORD.search(body) or SCOPE.search(body):
            continue
        found.append((text.count("\n", 0, function.start()) + 1, name[1]))
    return found


def main():
    root = tree.parse_arguments(__doc__).root
    assert not findings(GOOD) and all(len(findings(text)) == 1 for text in BAD)
    report = tree.Report("op_scopes")
    paths = tree.files(root, ("src/ops", "src/nn"), (".cpp",))
    for path in paths:
        for line, name in findings((root / path).read_text(encoding="utf-8")):
            report.add(path, line, f"{name}() records an op without a scope; begin it with `const TraceScope scope(ScopeKind::op, ...);`")
    report.finish(len(paths))


if __name__ == "__main__":
    main()
