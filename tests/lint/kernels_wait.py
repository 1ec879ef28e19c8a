"""Fails when a CUDA kernel does not begin with wait_for_stream(), or is not started by launch_kernel().

A kernel that does not wait reads, now and then, what the kernel before it has not written yet: see
"Overlapped launches" in kernels/api/cuda_launch.cuh. So that it cannot stop finding any, the check
first tries itself on kernels that are wrong.
"""

import re

import tree

HEAD = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(")
WAIT = re.compile(r"\s*(?:cuda::)?wait_for_stream\(\);")
GOOD = "template <class T>\n__global__ void __launch_bounds__(kThreads)\n    k(int n) {\n  wait_for_stream();\n}"
BAD = (
    GOOD.replace("wait_for_stream();", "int i = n;"),
    GOOD + "void f() { k<<<1, 2>>>(3); }",
    "__global__ static void k() {}",
)


def end_of_parameters(text, start):
    """The position behind the bracket that closes the one before `start`."""
    depth = 1
    while depth > 0:
        depth += {"(": 1, ")": -1}.get(text[start], 0)
        start += 1
    return start


def waits(text, head):
    """Whether the body of the kernel with this head begins as it must."""
    body = text.index("{", end_of_parameters(text, head.end())) + 1
    return WAIT.match(text, body) is not None


def findings(text):
    """(line, what is wrong) for each finding in a file of kernels."""
    text = re.sub(r"//[^\n]*", "", text)
    found = []

    def add(position, message):
        found.append((text.count("\n", 0, position) + 1, message))

    heads = {head.start(): head for head in HEAD.finditer(text)}
    for mark in re.finditer("__global__", text):
        head = heads.get(mark.start())
        if head is None:
            add(mark.start(), "write `__global__ void`, so that this check can read the kernel")
        elif not waits(text, head):
            add(mark.start(), f"{head[1]} does not begin with wait_for_stream()")
    for mark in re.finditer("<<<", text):
        add(mark.start(), "start kernels with launch_kernel()")
    return found


def main():
    root = tree.parse_arguments(__doc__).root
    assert not findings(GOOD) and all(len(findings(text)) == 1 for text in BAD)
    report = tree.Report("kernels_wait")
    paths = tree.files(root, ("kernels",), (".cu", ".cuh"))
    for path in paths:
        for line, message in findings((root / path).read_text(encoding="utf-8")):
            report.add(path, line, message)
    report.finish(len(paths))


if __name__ == "__main__":
    main()
