"""Writes the type stubs of the package: python/taut/*.pyi.

The forms of every op come from the C++ rows (`_signatures`), the rest from the live modules; run it with the built package
on PYTHONPATH after adding an op. `--check` writes nothing and fails when a stub is out of date.
"""

import argparse
import ast
import importlib
import inspect
import keyword
import re
import sys
from pathlib import Path

# The folder of this script holds the package's sources; the built package comes from PYTHONPATH.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

import taut
import taut.linalg
import taut.nn.functional

HEADER = '''# Written by python/make_stubs.py; do not edit.
from collections.abc import Callable, Iterator, Sequence
from typing import Any, SupportsIndex, overload

'''

# Names that a class body or module redefines, and that annotations need as the built-in.
BUILTINS = {"int": "_int", "float": "_float", "bool": "_bool"}

SHARED = '''_int = int
_float = float
_bool = bool
Number = _int | _float | _bool
'''

SMALL_CLASSES = '''
class dtype:
    name: str
    itemsize: _int
    is_floating_point: _bool
    is_complex: _bool
    is_signed: _bool

class device:
    type: str
    index: _int | None
    def __init__(self, type: "DeviceLike", index: _int = ...) -> None: ...

DeviceLike = device | str | _int

class memory_format: ...

class Size(tuple[_int, ...]):
    def numel(self) -> _int: ...

class Generator:
    device: device
    def __init__(self, device: DeviceLike = ...) -> None: ...
    def manual_seed(self, seed: _int) -> Generator: ...
    def seed(self) -> _int: ...
    def initial_seed(self) -> _int: ...
    def get_state(self) -> Tensor: ...
    def set_state(self, new_state: Tensor) -> None: ...

class RemovableHandle:
    def remove(self) -> None: ...
    def __enter__(self) -> RemovableHandle: ...
    def __exit__(self, *args: Any) -> None: ...

class Node:
    next_functions: tuple[tuple[Node | None, _int], ...]
    def name(self) -> str: ...

'''

TENSOR_HEAD = '''class Tensor:
    shape: Size
    dtype: "_dtype"
    device: "_device"
    ndim: _int
    itemsize: _int
    nbytes: _int
    is_cuda: _bool
    is_cpu: _bool
    is_sparse: _bool
    is_quantized: _bool
    is_meta: _bool
    requires_grad: _bool
    is_leaf: _bool
    retains_grad: _bool
    grad: Tensor | None
    grad_fn: Node | None
    data: Tensor
    T: Tensor
    mT: Tensor
    H: Tensor
    mH: Tensor
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def __getitem__(self, key: Any) -> Tensor: ...
    def __setitem__(self, key: Any, value: Any) -> None: ...
    def __len__(self) -> _int: ...
    def __iter__(self) -> Iterator[Tensor]: ...
    def __contains__(self, item: Any) -> _bool: ...
    def __bool__(self) -> _bool: ...
    def __int__(self) -> _int: ...
    def __float__(self) -> _float: ...
    def __index__(self) -> _int: ...
    def __hash__(self) -> _int: ...
    def __neg__(self) -> Tensor: ...
    def __pos__(self) -> Tensor: ...
    def __abs__(self) -> Tensor: ...
    def __invert__(self) -> Tensor: ...
    def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __lt__(self, other: Any) -> Tensor: ...
    def __le__(self, other: Any) -> Tensor: ...
    def __gt__(self, other: Any) -> Tensor: ...
    def __ge__(self, other: Any) -> Tensor: ...
    def backward(self, gradient: Tensor | None = None, retain_graph: _bool | None = None, create_graph: _bool = False, inputs: Tensor | Sequence[Tensor] | None = None) -> None: ...
    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle: ...
    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle: ...
    def as_subclass(self, cls: type) -> Any: ...
    def apply_(self, function: Callable[[Any], Any]) -> Tensor: ...
    def map_(self, other: Tensor, function: Callable[[Any, Any], Any]) -> Tensor: ...
    def share_memory_(self) -> Tensor: ...
    def __array__(self, dtype: Any = None, copy: _bool | None = None) -> Any: ...
'''
EXPORTS = {
    ".": "ai amp autograd config cuda io linalg nn ops optim profiler random special utils",
    "._autocast": "autocast get_autocast_dtype is_autocast_enabled",
    "._custom_op": "CustomOp load_library",
    "._fuse": "FusedFunction fuse",
    "._modes": "enable_grad inference_mode is_inference_mode_enabled no_grad set_grad_enabled",
    "._serialization": "load save",
    "._settings": "finfo get_printoptions iinfo set_printoptions",
}
SPECIAL_METHODS = ["__init__", "__enter__", "__exit__", "__call__", "__getitem__", "__len__", "__iter__"]
OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift", "matmul"]


def qualified(annotation):
    """Annotations with the built-ins and the module's own names kept apart."""
    for name, safe in BUILTINS.items():
        annotation = re.sub(rf"(?<![\w.]){name}(?![\w.])", safe, annotation)
    annotation = re.sub(r"(?<![\w._])dtype(?![\w(=:])", "_dtype", annotation)
    return re.sub(r"(?<![\w._])device(?![\w(=:])", "_device", annotation)


def parameters_of(signature):
    """The text between the parentheses, split at its own commas, and the result."""
    inside, _, result = signature[1:].rpartition(") -> ")
    return split_parameters(inside), result


def split_parameters(text):
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text + ","):
        depth += c in "[(" and 1 or c in "])" and -1 or 0
        if c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return [part for part in parts if part]


def form(signature, is_method):
    parts, result = parameters_of(signature)
    if is_method:
        parts = ["self"] + parts[1:]
    texts = []
    for part in parts:
        name, colon, annotation = part.partition(": ")
        if not colon:
            texts.append(part)
            continue
        if name.startswith("*"):  # items one by one, or one sequence of them
            annotation = "Any"
        if keyword.iskeyword(name):
            name += "_"
        annotation, equals, default = annotation.partition(" = ")
        texts.append(f"{name}: {qualified(annotation)}" + (f" = {default}" if equals else ""))
    # A variadic parameter ends the positional ones by itself.
    return f"({', '.join(texts)}) -> {qualified(result)}: ..."


def stub_of_op(name, op, indent="", is_method=False):
    forms = list(dict.fromkeys(form(signature, is_method) for signature in op._signatures))
    decorator = f"{indent}@overload\n" if len(forms) > 1 else ""
    return "".join(f"{decorator}{indent}def {name}{text}\n" for text in forms)


def is_op(item):
    return type(item).__name__ in ("function", "method") and hasattr(item, "_signatures")


def public(names):
    return [name for name in sorted(names) if not name.startswith("_")]


def stub_of_tensor():
    text = TENSOR_HEAD
    for name in OPERATORS:
        for form_name in (f"__{name}__", f"__r{name}__", f"__i{name}__"):
            text += f"    def {form_name}(self, other: Any) -> Tensor: ...\n"
    for name, item in sorted(vars(taut.Tensor).items()):
        if is_op(item) and not name.startswith("_"):
            text += stub_of_op(name, item, "    ", is_method=True)
    return text


def stub_of_package():
    text = HEADER + SHARED + SMALL_CLASSES + "_dtype = dtype\n_device = device\n\n" + stub_of_tensor() + "\n"
    for origin, names in EXPORTS.items():
        text += f"from {origin} import {', '.join(f'{name} as {name}' for name in names.split())}\n"
    done = set(re.findall(r"^class (\w+)", text, re.M)) | set(" ".join(EXPORTS.values()).split())
    for name in public(vars(taut)):
        item = getattr(taut, name)
        if name in done or inspect.ismodule(item):
            continue
        if is_op(item):
            text += stub_of_op(name, item)
        elif isinstance(item, taut.dtype):
            text += f"{name}: _dtype\n"
        elif isinstance(item, taut.memory_format):
            text += f"{name}: memory_format\n"
        elif inspect.isclass(item) and issubclass(item, BaseException):
            bases = ", ".join(base.__name__ if base.__module__ == "taut" else f"_builtins.{base.__name__}" for base in item.__bases__)
            text += f"class {name}({bases}): ...\n"
        elif callable(item):
            text += f"def {name}(*args: Any, **kwargs: Any) -> Any: ...\n"
        else:
            text += f"{name}: {'_float' if isinstance(item, float) else 'Any'}\n"
    # A base stands before what derives from it.
    root = "class Error(_builtins.RuntimeError): ...\n"
    io_error = "class IoError(Error, _builtins.OSError): ...\n"
    text = text.replace(root, "").replace(io_error, "")
    return text.replace("_dtype = dtype\n", "import builtins as _builtins\n\n" + root + io_error + "\n_dtype = dtype\n")


def stub_of_namespace(module, names):
    text = HEADER + SHARED + "from .. import DeviceLike, Generator, Size, Tensor\nfrom .. import device as _device\n"
    text += "from .. import dtype as _dtype\n\n"
    for name in public(names):
        item = getattr(module, name)
        if is_op(item):
            text += stub_of_op(name, item)
    return text


def plain_function(name, function, indent=""):
    """A Python function with its names and defaults; what is not annotated may be anything."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return f"{indent}def {name}(*args: Any, **kwargs: Any) -> Any: ...\n"
    texts, starred = [], False
    for parameter in parameters:
        if parameter.name in ("self", "cls") and not texts:
            texts.append(parameter.name)
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            texts.append("*")
        starred = starred or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = "" if parameter.default is parameter.empty else " = ..."
        texts.append(f"{prefix}{parameter.name}: Any{default}")
    result = "None" if name == "__init__" else "Any"
    return f"{indent}def {name}({', '.join(texts)}) -> {result}: ...\n"


def plain_class(name, item):
    own = [base for base in item.__mro__ if base.__module__ == item.__module__ or base.__module__.startswith("taut._")]
    bases = [base.__name__ for base in own[1:] if base.__name__[0] != "_"]
    # What a private base brings is told as the class's own.
    methods = {}
    for base in reversed(own):
        if base is item or base.__name__[0] == "_":
            methods.update(vars(base))
    text = f"class {name}{'(' + bases[0] + ')' if bases else ''}:\n    def __getattr__(self, name: str) -> Any: ...\n"
    for method, function in methods.items():
        hidden = method.startswith("_") and method not in SPECIAL_METHODS
        raw = function.__func__ if isinstance(function, (staticmethod, classmethod)) else function
        if hidden or not inspect.isfunction(raw):
            continue
        decorator = {staticmethod: "    @staticmethod\n", classmethod: "    @classmethod\n"}.get(type(function), "")
        text += decorator + plain_function(method, raw, "    ")
    if item.__new__ is not object.__new__ and "__init__" not in methods:
        text += "    def __init__(self, *args: Any, **kwargs: Any) -> None: ...\n"
    return text


# Modules whose names are known only when a program runs.
OPEN_MODULES = {"taut.ops"}
# Modules of Python whose classes are made in C++, and where.
C_HALVES = {"taut.amp": "taut._C._amp", "taut.cuda": "taut._C._cuda", "taut.profiler": "taut._C._profiler"}


def stub_of_python(module_name):
    """A module written in Python: its own public functions and classes."""
    module = importlib.import_module(module_name)
    source = Path(module.__file__).read_text()
    text = HEADER.replace("from collections.abc import Callable, Iterator, Sequence\n", "").replace(", SupportsIndex, overload", "")
    # What it passes on from other modules of the package.
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.ImportFrom) or statement.level == 0:
            continue
        origin = "." * statement.level + (statement.module or "")
        origin = origin.removesuffix("_C")  # the package's own stub tells what the C++ half holds
        names = [alias.name for alias in statement.names if alias.asname is None and not alias.name.startswith("_")]
        if names:
            text += f"from {origin} import {', '.join(f'{name} as {name}' for name in names)}\n"
    if module_name in OPEN_MODULES:
        text += "def __getattr__(name: str) -> Any: ...\n"
    for name in public(vars(module)):
        item = vars(module)[name]
        if is_op(item):
            text += f"{name}: Any\n"
        if inspect.isclass(item) and item.__module__ == C_HALVES.get(module_name):
            text += bound_class(name, item)
        if getattr(item, "__module__", None) != module_name:
            continue
        text += plain_class(name, item) if inspect.isclass(item) else plain_function(name, item)
    return text


def bound_method(name, function, indent="    ", first=("self",)):
    """A method that pybind11 bound: the names of its arguments stand in the first line of its text."""
    line = (function.__doc__ or "").strip().split("\n")[0]
    found = re.fullmatch(r"\w+\((.*)\) -> (.*)", line)
    if found is None or name == "__call__" or (name == "forward" and "*args" in line):
        return f"{indent}def {name}(self, *args: Any, **kwargs: Any) -> {'None' if name == '__init__' else 'Any'}: ...\n"
    texts = list(first)
    for part in split_parameters(found[1])[len(first) :]:
        if part in ("*args", "**kwargs"):
            texts.append(part + ": Any")
            continue
        parameter, _, rest = part.partition(": ")
        texts.append(f"{parameter}: Any" + (" = ..." if " = " in rest else ""))
    return f"{indent}def {name}({', '.join(texts)}) -> {'None' if name == '__init__' else 'Any'}: ...\n"


def bound_class(name, item):
    """A class of C++, with what Python adds to it."""
    base = item.__bases__[0]
    is_root = not base.__module__.startswith("taut")
    text = f"class {name}{'' if is_root else '(' + base.__name__ + ')'}:\n"
    if is_root:
        text += "    def __getattr__(self, name: str) -> Any: ...\n    def __setattr__(self, name: str, value: Any) -> None: ...\n"
    for method, function in sorted(vars(item).items()):
        if method.startswith("_") and method not in SPECIAL_METHODS:
            continue
        function = inspect.unwrap(function) if inspect.isfunction(function) else function
        if inspect.isfunction(function):
            text += plain_function(method, function, "    ")
        elif isinstance(function, staticmethod):
            text += "    @staticmethod\n" + bound_method(method, function.__func__, first=())
        elif callable(function) and not inspect.isclass(function):
            text += bound_method(method, function)
    return text + ("" if text.endswith(" ...\n") else "    ...\n")


def stub_of_classes(module):
    """A module whose classes are bound from C++."""
    text = HEADER.replace("from collections.abc import Callable, Iterator, Sequence\n", "").replace(", SupportsIndex, overload", "")
    for name in module.__all__:
        item = getattr(module, name)
        if inspect.ismodule(item):
            text += f"from . import {name} as {name}\n"
        elif name == "Parameter":
            text += "from .parameter import Parameter as Parameter\n"
    for name in module.__all__:
        item = getattr(module, name)
        if inspect.isclass(item) and name != "Parameter":
            text += bound_class(name, item)
    return text


PYTHON_MODULES = [
    "_autocast", "_custom_op", "_fuse", "_graphed", "_modes", "_settings", "_structure", "amp", "autograd.__init__", "autograd.function", "autograd.functional", "autograd.graph", "config",
    "cuda", "io", "ops", "nn.parameter", "nn.utils", "special", "random", "utils.__init__", "utils.checkpoint", "utils.data.__init__",
    "utils.data.collate", "utils.data.dataloader", "utils.data.dataset", "utils.data.sampler", "_serialization", "profiler",
]


def stubs():
    functional = stub_of_namespace(taut.nn.functional, taut.nn.functional.__all__)
    python = {
        name.replace(".", "/") + ".pyi": stub_of_python("taut." + name.removesuffix(".__init__")) for name in PYTHON_MODULES
    }
    return python | {
        "__init__.pyi": stub_of_package(),
        "nn/__init__.pyi": stub_of_classes(taut.nn),
        "nn/module.pyi": HEADER.split("\n")[0] + "\nfrom . import Module as Module\n",
        "optim/__init__.pyi": stub_of_classes(taut.optim),
        "optim/lr_scheduler.pyi": stub_of_classes(taut.optim.lr_scheduler),
        "nn/functional.pyi": functional,
        "nn/init.pyi": stub_of_namespace(taut.nn.init, taut.nn.init.__all__),
        "linalg.pyi": stub_of_namespace(taut.linalg, taut.linalg.__all__).replace("from .. import", "from . import"),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    folder = Path(__file__).resolve().parent / "taut"
    stale = []
    for name, text in stubs().items():
        path = folder / name
        if path.is_file() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text)
    if check and stale:
        sys.exit(f"out of date: {', '.join(stale)}; run python/make_stubs.py")
    print("\n".join(stale) or "all stubs are up to date")


if __name__ == "__main__":
    main()
