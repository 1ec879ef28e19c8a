"""Ops of your own with a name: versions for each device, one made of other ops, and a derivative."""

import os
import sys

from . import _C
from ._C import Tensor

__all__ = ["CustomOp", "CustomOpContext", "load_library"]


class CustomOpContext:
    """What the functions of a CustomOp see of a call."""

    def __init__(self, call, attributes, inputs):
        self._call = call
        self._inputs = inputs
        self.attributes = attributes

    def save_for_backward(self, *tensors):
        """Keeps tensors for backward, under the rules of the tape: a write to them is noticed."""
        self._call.save_for_backward(tensors)

    @property
    def saved_tensors(self):
        """What save_for_backward kept."""
        return self._call.saved_tensors()

    def mark_non_differentiable(self, *outputs):
        """Outputs through which no gradient flows; integers and bools are such by themselves."""
        self._call.mark_non_differentiable(outputs)

    @property
    def needs_input_grad(self):
        """For each input whether its gradient is wanted."""
        return self._call.needs_input_grad(self._inputs)


def _sequence(result, what):
    """What a function returned, as a tuple."""
    items = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    for item in items:
        if item is not None and not isinstance(item, Tensor):
            raise TypeError(f"{what} must return tensors; got a {type(item).__name__}")
    return items


def _place_of_caller():
    """The first line outside of this file that called it."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "?"


class CustomOp:
    """An op with a name, which is registered when it is made.

    `name` is "namespace::name"; taut.ops.namespace.name is the op from then on. `inputs` names its tensors: one with a "?"
    at its end may be None. `attributes` are switches and numbers with their defaults, which calls give by keyword.

    Functions get the inputs by place and the attributes by keyword: `check(*inputs, **attributes)` raises for what the op
    does not take; `composed(...)` is the op made of others; `cpu(ctx, ...)` and `cuda(ctx, ...)` run off the tape and
    return new tensors. `backward(ctx, *grads)` returns one gradient for each input, or None.

    Which version runs: that of the inputs' device, else `composed`. Which derivative: `backward`, else that of `composed`.
    Second derivatives go through `composed`, unless `differentiable_backward` says that backward is made of
    differentiable ops only. What is missing is a NotImplementedError. `autocast` tells what taut.autocast does to the
    inputs: "lower_dtype", "float32", "widest_dtype", or nothing.

    >>> cube = taut.CustomOp("docs::cube", ["x"], composed=lambda x: x * x * x)
    >>> cube(taut.tensor([2.0])).item()
    8.0
    """

    def __init__(
        self, name, inputs, *, attributes=None, check=None, cpu=None, cuda=None, composed=None, backward=None,
        differentiable_backward=False, autocast=None,
    ):
        inputs = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        self._inputs = tuple(input.rstrip("?") for input in inputs)
        self._names = tuple(attributes or ())
        self._op = _C._CustomOp(
            name, inputs, attributes or {}, self._plain(check, "check", returns=False),
            self._plain(composed, "composed"), self._backward(backward), differentiable_backward, autocast, _place_of_caller(),
        )
        self._complete()
        for device, forward in (("cpu", cpu), ("cuda", cuda)):
            if forward is not None:
                self.implement(device, forward)

    @classmethod
    def find(cls, name):
        """The op of a name, whether Python or C++ registered it; ValueError when there is none."""
        op = _C._CustomOp.find(name)
        self = cls.__new__(cls)
        self._op = op
        self._inputs = tuple(input.rstrip("?") for input in op.inputs)
        self._names = tuple(op.attributes)
        self._complete()
        return self

    def _complete(self):
        self._needed = tuple(not name.endswith("?") for name in self._op.inputs)
        self.__name__ = self._op.name.rpartition("::")[2]

    @property
    def name(self):
        """As in "namespace::name"."""
        return self._op.name

    def implement(self, device, forward=None, *, backward=None):
        """Adds what the op does on "cpu" or "cuda", and its derivative there; also as a decorator of the forward.

        ValueError when there is a version already.
        """
        if forward is None:
            return lambda function: self.implement(device, function, backward=backward)
        self._op.implement(device, self._forward(forward), self._backward(backward), _place_of_caller())
        return forward

    def __call__(self, *inputs, **attributes):
        """One tensor, or a tuple where there are several."""
        if len(inputs) < len(self._inputs):
            inputs = self._complete_inputs(inputs, attributes)
        outputs = self._op(inputs, attributes)
        return outputs[0] if len(outputs) == 1 else outputs

    def _complete_inputs(self, inputs, keywords):
        """Inputs that were given by keyword, or not at all."""
        inputs = list(inputs)
        for name, needed in zip(self._inputs[len(inputs):], self._needed[len(inputs):]):
            if needed and name not in keywords:
                raise TypeError(f"{self.name}() misses its input '{name}'")
            inputs.append(keywords.pop(name, None))
        return inputs

    def __repr__(self):
        parts = list(self._op.inputs) + [f"{name}={value}" for name, value in self._op.attributes.items()]
        return f"<taut.CustomOp {self.name}({', '.join(parts)})>"

    # Python's functions as the C++ half calls them: (call, tensors, values of the attributes). They hold no reference to
    # the op, which holds them.

    def _plain(self, function, what, returns=True):
        if function is None:
            return None
        names, where = self._names, what

        def run(_, tensors, values):
            result = function(*tensors, **dict(zip(names, values)))
            return _sequence(result, where) if returns else None

        return run

    def _forward(self, function):
        names, inputs = self._names, len(self._inputs)

        def run(call, tensors, values):
            attributes = dict(zip(names, values))
            return _sequence(function(CustomOpContext(call, attributes, inputs), *tensors, **attributes), "forward")

        return run

    def _backward(self, function):
        if function is None:
            return None
        names, inputs = self._names, len(self._inputs)

        def run(call, grads, values):
            return _sequence(function(CustomOpContext(call, dict(zip(names, values)), inputs), *grads), "backward")

        return run


def load_library(path):
    """Loads a plugin, a shared library that registers ops of C++, and returns their names; none when it was loaded before.

    A library is code: load none that you would not run. OSError when it cannot be read, ValueError when it was not built
    for this version of Taut.
    """
    return tuple(_C._load_library(os.fspath(path)))
