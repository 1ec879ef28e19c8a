"""Arguments and results taken apart: tensors in nested tuples, lists and dicts, and what is between them."""

import enum

from . import _C
from ._C import Tensor

_PLAIN = (bool, int, float, complex, str, bytes, type(None), enum.Enum, _C.dtype, _C.device)


class _Hole:
    """Where a tensor stood in a structure."""


_HOLE = _Hole()


def is_hole(structure):
    """Whether a structure is a tensor and nothing else."""
    return structure is _HOLE


def take_apart(value, tensors, keep):
    """The structure of nested tuples, lists and dicts, with its tensors moved to a list.

    `keep` says what becomes of anything else.
    """
    if isinstance(value, Tensor):
        tensors.append(value)
        return _HOLE
    if isinstance(value, tuple):
        parts = [take_apart(item, tensors, keep) for item in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [take_apart(item, tensors, keep) for item in value]
    if isinstance(value, dict):
        return {keep(name): take_apart(item, tensors, keep) for name, item in value.items()}
    return keep(value)


def put_together(structure, tensors):
    """The structure with the next tensors of an iterator in the places of its own."""
    if structure is _HOLE:
        return next(tensors)
    if isinstance(structure, tuple):
        parts = [put_together(item, tensors) for item in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else tuple(parts)
    if isinstance(structure, list):
        return [put_together(item, tensors) for item in structure]
    if isinstance(structure, dict):
        return {name: put_together(item, tensors) for name, item in structure.items()}
    return structure


def plain(value, op):
    """A value that calls can be told apart by; TypeError for others."""
    if isinstance(value, _PLAIN):
        return value
    raise TypeError(
        f"{op}: got an argument of type {type(value).__name__}; expected tensors, numbers, words, None, and tuples, "
        "lists and dicts of these: what else the step needs it can refer to"
    )


def anything(value):
    """Any value, as it is."""
    return value


def name_of(structure):
    """A text that differs between structures that differ, plain values included."""
    if structure is _HOLE:
        return "_"
    if isinstance(structure, (tuple, list)):
        return f"{type(structure).__name__}[{','.join(map(name_of, structure))}]"
    if isinstance(structure, dict):
        return "{" + ",".join(f"{name_of(name)}:{name_of(item)}" for name, item in structure.items()) + "}"
    return f"{type(structure).__name__} {structure!r}"
