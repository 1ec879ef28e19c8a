"""Fails on an #include that the chart of floors does not allow (docs/design/: "The floors").

The chart is the table FLOORS below: change both together, and say why.
"""

import re
import sys
from pathlib import Path

import tree

# A floor and the floors right below it. A floor may include all that can be reached through these arrows, save what
# DIRECT_ONLY names: that is for the floors with an arrow of their own.
FLOORS = {
    "base": [],
    "ops/lists": [],  # names only, rows of macros without a meaning of their own
    "core": ["base", "ops/lists"],
    "autograd/graph": ["core"],
    "kernels/api": ["base", "core/plain", "ops/lists"],
    "kernels/cudnn": ["kernels/api", "base", "core/plain"],  # plans and their cache, for the families that ask cuDNN
    "kernels/jit": ["kernels/api", "base", "core/plain"],  # code compiled at run time, of users and of fused ops
    "kernels/family": ["kernels/cudnn", "kernels/api", "base", "core/plain", "ops/lists"],
    "kernels/table": ["kernels/family", "kernels/api", "base", "core/plain"],
    # A functor is written once for kernels and for ops, which differentiates it with T = Tensor.
    "ops": ["autograd/graph", "core", "kernels/api", "kernels/family header"],
    "autograd": ["ops", "autograd/graph"],
    "nn": ["ops", "autograd"],
    "optim": ["ops", "autograd", "kernels/api"],
    # Kernels, ops and plugins of users.
    "extension": ["ops", "autograd", "kernels/jit"],
    # Functions that become generated kernels.
    "fusion": ["ops", "autograd", "kernels/jit", "kernels/api"],
    # A gradient scaler runs the optimizer's step, and tells it on the device whether to.
    "amp": ["ops", "autograd", "optim"],
    # A dataset shuffles, stacks and selects rows.
    "data": ["ops"],
    "io": ["core"],
    # What all floors below tell it by way of base, core and autograd; io writes its files.
    "profiler": ["ops", "autograd", "kernels/api", "io"],
    "onnx": ["ops", "nn", "autograd/graph"],
    "distributed": ["core", "autograd/graph"],
    "distributed/modules": ["distributed", "nn"],
    "serve": ["nn", "optim", "data", "io", "onnx", "distributed", "distributed/modules", "amp"],
    "train": ["nn", "optim", "data", "io", "onnx", "distributed", "distributed/modules", "amp"],
    "ai": ["base"],
    "ai/guided": ["train", "ai"],
}
DIRECT_ONLY = {"kernels/api", "kernels/cudnn", "kernels/jit", "kernels/family", "kernels/family header", "core/plain"}

# autograd is cut in two: these lie above ops, and the rest (node, saved_tensor, record, hooks ...) below.
ABOVE_OPS = {"engine", "copy_slices", "tensor_methods", "gradcheck", "functional", "function", "checkpoint", "forward_mode", "graphed_step", "graph_signature"}
# The headers of core that a kernel may see: values, never a Tensor, a Storage or an allocator.
CORE_PLAIN = {"generator_state", "dtype", "dims", "half", "complex", "scalar", "device", "stream", "layout", "config", "launch_context", "captured_launches"}
# The parts of distributed that wrap a Module.
DISTRIBUTED_MODULES = ("ddp", "sharded")
# Made by the build: taut/base/config.h and build_info.h.
GENERATED = {"taut/base/config.h": "base", "build_info.h": "base", "fusion_sources.h": "base"}

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def floor_of(path):
    """The floor of a file given by its path in the tree, or None where the chart does not speak."""
    parts = path.parts
    if parts[0] == "kernels":
        if len(parts) == 2:
            return "kernels/table"
        if parts[1] in ("api", "cudnn", "jit"):
            return "kernels/" + parts[1]
        return "kernels/family"
    if parts[:2] == ("include", "taut"):
        rest = parts[2:]
    elif parts[0] == "src":
        rest = parts[1:]
    else:
        return None
    if len(rest) == 1:
        return "umbrella"
    floor, stem = rest[0], path.stem
    if floor == "ops" and rest[1] == "lists":
        return "ops/lists"
    # nn.functional holds ops under another name: functions of tensors, without modules.
    if rest[:2] == ("nn", "functional"):
        return "ops"
    if floor == "autograd":
        return "autograd" if stem in ABOVE_OPS else "autograd/graph"
    if floor == "distributed":
        return "distributed/modules" if stem.startswith(DISTRIBUTED_MODULES) else "distributed"
    if floor == "ai" and (rest[1] == "guided" or stem.startswith("guided")):
        return "ai/guided"
    return floor


def aliases(path):
    """The names under which a rule may allow a file: its floor, and narrower ones."""
    floor = floor_of(path)
    names = {floor}
    if floor == "core" and path.suffix == ".h" and path.stem in CORE_PLAIN:
        names.add("core/plain")
    if floor == "kernels/family" and path.suffix in (".h", ".inl") and not path.stem.endswith(("_cpu", "_cuda")):
        names.add("kernels/family header")
    return names


def reachable(floor):
    """Every floor that `floor` may include."""
    allowed = {floor} | set(FLOORS[floor])
    pending = [below for below in FLOORS[floor] if below in FLOORS and below not in DIRECT_ONLY]
    while pending:
        for below in FLOORS[pending.pop()]:
            if below not in DIRECT_ONLY and below not in allowed:
                allowed.add(below)
                pending.append(below)
    return allowed


def resolve(root, including, name):
    """The file of the tree that an include names, or None for one from outside."""
    for base in (including.parent, Path(), Path("src"), Path("include")):
        candidate = base / name
        if (root / candidate).is_file():
            return Path(*[part for part in candidate.parts if part != "."])
    return None


def check_file(root, path, report):
    own = floor_of(path)
    if own not in FLOORS and own != "umbrella":
        report.add(path, 1, f"'{own}' is not a floor of the chart; add it to tests/lint/layers.py and docs/design/")
        return
    for number, line in tree.lines(root, path):
        match = INCLUDE.match(line)
        if not match:
            continue
        name = match.group(2)
        target = resolve(root, path, name)
        if target is None:
            if name in GENERATED or not name.startswith(("taut/", "kernels/", "src/")):
                continue
            report.add(path, number, f"'{name}' does not exist")
            continue
        if own == "umbrella":
            if target.parts[0] != "include":
                report.add(path, number, f"'{name}' is private; the umbrella includes public headers only")
            continue
        if path.parts[0] == "include" and target.parts[0] != "include":
            report.add(path, number, f"'{name}' is private, and is not installed; a public header may not include it")
            continue
        names = aliases(target)
        if "umbrella" in names:
            report.add(path, number, f"'{name}' is for users; include the headers that are needed")
            continue
        if own == "kernels/family" and floor_of(target) == own:
            if target.parts[1] != path.parts[1]:
                report.add(
                    path, number,
                    f"'{name}' belongs to another family of kernels; what families share goes to kernels/api",
                )
            continue
        if not names & reachable(own):
            what = floor_of(target)
            hint = "; a kernel sees core's plain types only" if what == "core" and own.startswith("kernels") else ""
            report.add(path, number, f"{own} may not include '{name}' ({what}){hint}; see the floors in docs/design/")


def check_outside(root, path, report):
    """Bindings, examples and benchmarks see public headers only."""
    for number, line in tree.lines(root, path):
        match = INCLUDE.match(line)
        target = match and resolve(root, path, match.group(2))
        if target and target.parts[0] in ("src", "kernels"):
            report.add(path, number, f"'{match.group(2)}' is private; {path.parts[0]}/ may include public headers only")


def check_tree(root, report):
    """Checks every file below root; returns how many there are."""
    inside = tree.files(root, ("include", "src", "kernels"))
    for path in inside:
        check_file(root, path, report)
    outside = tree.files(root, ("python", "examples", "benchmarks"))
    for path in outside:
        check_outside(root, path, report)
    return len(inside) + len(outside)


def main():
    root = tree.parse_arguments(__doc__).root
    report = tree.Report("layers")
    report.finish(check_tree(root, report))


if __name__ == "__main__":
    sys.exit(main())
