"""taut.save and taut.load: what a script keeps between runs, in one safetensors file.

The tensors lie in the file under their dotted paths, so that any reader of safetensors, C++ among them, finds
"model.fc.weight". What is not flat is described by JSON in the file's metadata: a number, a string, a flag or null as itself,
everything else as an object with one member that names its kind.
"""

import math
import os

from . import io
from ._C import FormatError, Tensor, _io

_TREE = "taut.tree"


def save(obj, f, metadata=None):
    """Writes `obj` into the file `f` (a path), whole or not at all.

    obj: a dict of tensors, a module, an optimizer, or dicts, lists and tuples of those and of numbers, strings and None,
    as in `taut.save({"model": model.state_dict(), "epoch": 3}, "checkpoint.safetensors")`. `metadata` (str to str) is kept
    beside it. The file is a safetensors file: it holds data and nothing that runs. Raises IoError with the path when it cannot
    be written, TypeError that names the place of what cannot be saved."""
    if hasattr(obj, "state_dict"):
        obj = obj.state_dict()
    metadata = io._checked_metadata(metadata)
    if _TREE in metadata:
        raise ValueError(f"save: the name {_TREE} in metadata belongs to save")
    if _is_flat(obj):
        tensors = dict(obj)
    else:
        import json  # not before it is needed: importing taut takes no longer for it

        tensors = {}
        metadata[_TREE] = json.dumps(_described(obj, "", tensors), ensure_ascii=False, allow_nan=False)
    io.save_file(tensors, _path_of(f, "save"), metadata)


def load(f, map_location=None, *, weights_only=True, mmap=True):
    """What `save` wrote into the file `f` (a path), or the dict of tensors of any other safetensors file.

    The file is mapped: an element is read when it is looked at, and writing to a loaded tensor does not change the file.
    `map_location` is a device for the tensors. `weights_only` and `mmap` are PyTorch's: both are always so. Raises FormatError
    for a file that is something else (one of torch.save, say), IoError for one that cannot be read."""
    if map_location is not None and callable(map_location):
        raise TypeError("load: map_location must be a device; functions are not taken")
    path = _path_of(f, "load")
    tensors, metadata = _io.load_file(path)
    if map_location is not None and str(map_location) != "cpu":
        tensors = {name: tensor.to(map_location) for name, tensor in tensors.items()}
    if _TREE not in metadata:
        return tensors
    import json

    try:
        return _rebuilt(json.loads(metadata[_TREE]), tensors)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(f"load: {path} has a bad description of its contents ({type(error).__name__}: {error})") from None


def _path_of(f, what):
    if hasattr(f, "write") or hasattr(f, "read"):
        raise TypeError(f"{what}: expected a path; got an open file, and the file would be mapped or replaced as a whole")
    return os.fspath(f)


def _is_flat(obj):
    return isinstance(obj, dict) and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in obj.items())


def _described(obj, path, tensors):
    if obj is None or isinstance(obj, (bool, int, str)):
        return obj
    if isinstance(obj, float):
        return obj if math.isfinite(obj) else {"float": str(obj)}
    if isinstance(obj, Tensor):
        name = path or "tensor"
        while name in tensors:
            name += "_"
        tensors[name] = obj
        return {"tensor": name}
    if hasattr(obj, "state_dict"):
        return _described(obj.state_dict(), path, tensors)
    if isinstance(obj, dict):
        for key in obj:
            if not isinstance(key, (str, int, float)):
                raise TypeError(f"save: a key at '{path}' is a {type(key).__name__}; expected str or a number")
        return {"dict": [[key, _described(item, _below(path, key), tensors)] for key, item in obj.items()]}
    if isinstance(obj, (list, tuple)):
        kind = "list" if isinstance(obj, list) else "tuple"
        return {kind: [_described(item, _below(path, i), tensors) for i, item in enumerate(obj)]}
    raise TypeError(
        f"save: '{path}' is a {type(obj).__name__}; expected tensors, numbers, strings, None, and dicts, lists and tuples of those"
    )


def _below(path, key):
    return f"{path}.{key}" if path else str(key)


def _rebuilt(node, tensors):
    if not isinstance(node, dict):
        if isinstance(node, list):
            raise ValueError("a list without a kind")
        return node
    ((kind, content),) = node.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "float":
        return float(content)
    if kind == "dict":
        return {key: _rebuilt(item, tensors) for key, item in content}
    if kind in ("list", "tuple"):
        items = [_rebuilt(item, tensors) for item in content]
        return items if kind == "list" else tuple(items)
    raise ValueError(f"the unknown kind {kind!r}")
