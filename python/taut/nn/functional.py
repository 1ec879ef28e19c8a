"""Layers and losses as functions."""

from .._C import _functional

globals().update({name: op for name, op in vars(_functional).items() if not name.startswith("_")})
__all__ = sorted(name for name in vars(_functional) if not name.startswith("_"))


def __dir__():
    return __all__
