"""Derivatives of functions of tensors."""

from .. import _C
from .._C import Tensor


__all__ = ["hessian", "jacobian", "jvp", "vjp"]


def _as_tuple(value):
    return (value,) if isinstance(value, Tensor) else tuple(value)


def _vectors(v):
    return () if v is None else _as_tuple(v)


def _like(values, example):
    return values[0] if isinstance(example, Tensor) else tuple(values)


class _Outputs:
    """Calls a function and remembers whether it gave one tensor or several."""

    def __init__(self, function):
        self.function = function
        self.single = True

    def __call__(self, *inputs):
        result = self.function(*inputs)
        self.single = isinstance(result, Tensor)
        return result


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False):
    """The derivatives of every output of func by every input, in the nesting of outputs and inputs."""
    outputs = _Outputs(func)
    rows = _C._jacobian(outputs, _as_tuple(inputs), create_graph)
    rows = tuple(_like(row, inputs) for row in rows)
    return rows[0] if outputs.single else rows


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False):
    """The second derivatives of func, which returns one number, by every pair of inputs."""
    rows = _C._hessian(func, _as_tuple(inputs), create_graph)
    return _like(tuple(_like(row, inputs) for row in rows), inputs)


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(outputs, v^T J): func and the product of v with its Jacobian."""
    outputs = _Outputs(func)
    values, result = _C._vjp(outputs, _as_tuple(inputs), _vectors(v), create_graph)
    return values[0] if outputs.single else values, _like(result, inputs)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(outputs, J v): func and the product of its Jacobian with v."""
    outputs = _Outputs(func)
    values, result = _C._jvp(outputs, _as_tuple(inputs), _vectors(v), create_graph)
    if outputs.single:
        return values[0], result[0]
    return values, result
