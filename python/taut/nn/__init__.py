"""Layers, losses and what they are made of."""

from .._C import _nn
from . import _docs, _transformer, functional, init, module, utils
from ._copying import remember_arguments
from .module import Module
from .parameter import Parameter

_LAYERS = sorted(name for name, item in vars(_nn).items() if isinstance(item, type))
for _name in _LAYERS:
    _layer = getattr(_nn, _name)
    _layer.__module__ = __name__
    _layer.__doc__ = _docs.text_of(_name)
    _layer._is_native = True
    remember_arguments(_layer)
    globals()[_name] = _layer

__all__ = [*_LAYERS, "Parameter", "functional", "init", "utils"]
