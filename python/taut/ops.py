"""Registered ops by name: taut.ops.my_ops.cube is the op "my_ops::cube", whether Python or C++ registered it."""

from . import _C
from ._custom_op import CustomOp

__all__ = ["Namespace", "names"]


def names():
    """The names of all registered ops, as in ["my_ops::cube"]."""
    return _C._CustomOp.names()


class Namespace:
    """The registered ops of one namespace, as attributes."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            op = CustomOp.find(f"{self._name}::{name}")
        except ValueError as error:
            raise AttributeError(str(error)) from None
        setattr(self, name, op)  # it is never unregistered
        return op

    def __dir__(self):
        start = self._name + "::"
        return [name[len(start):] for name in names() if name.startswith(start)]

    def __repr__(self):
        return f"<taut.ops.{self._name}: {', '.join(dir(self)) or 'no ops'}>"


def _namespaces():
    return {name.partition("::")[0] for name in names()}


def __getattr__(name):
    known = _namespaces()
    if name not in known:
        raise AttributeError(f"taut.ops has no '{name}'; ops are registered in: {', '.join(sorted(known)) or 'no namespace'}")
    namespace = Namespace(name)
    globals()[name] = namespace
    return namespace


def __dir__():
    return sorted(_namespaces() | set(__all__))
