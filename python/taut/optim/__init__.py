"""Optimizers."""

from .._C import _optim

globals().update({name: item for name, item in vars(_optim).items() if not name.startswith("_")})
__all__ = sorted(name for name in vars(_optim) if not name.startswith("_") and name != "ParamGroup")
for _name in __all__:
    getattr(_optim, _name).__module__ = __name__
