"""Optimizers, and schedules of their learning rates."""

from .._C import _optim
from . import lr_scheduler

_OPTIMIZERS = [name for name in vars(_optim) if not name.startswith("_")]
for _name in _OPTIMIZERS:
    getattr(_optim, _name).__module__ = __name__
    globals()[_name] = getattr(_optim, _name)
__all__ = sorted(["lr_scheduler", *(name for name in _OPTIMIZERS if name != "ParamGroup")])
