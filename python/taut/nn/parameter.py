"""Tensors that modules train."""

from .. import _C
from .._C import Tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A tensor that becomes a parameter of the module that it is assigned to."""

    def __new__(cls, data=None, requires_grad=True):
        data = _C.empty((0,)) if data is None else data
        self = _C._as_subclass(cls, data.detach())
        if requires_grad:
            self.requires_grad_()
        return self

    def __repr__(self):
        return "Parameter containing:\n" + super().__repr__()


_C._nn._set_parameter_type(Parameter)
