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
        self._form = form = _Form(inputs, attributes or {})
        self._op = _C._CustomOp(
            name, inputs, attributes or {}, form.check(check), form.composed(composed), form.backward(backward),
            differentiable_backward, autocast, _place_of_caller(),
        )
        self.__name__ = name.rpartition("::")[2]
        for device, forward in (("cpu", cpu), ("cuda", cuda)):
            if forward is not None:
                self.implement(device, forward)

    @classmethod
    def find(cls, name):
        """The op of a name, whether Python or C++ registered it; ValueError when there is none."""
        self = cls.__new__(cls)
        self._op = _C._CustomOp.find(name)
        self._form = _Form(self._op.inputs, self._op.attributes)
        self.__name__ = name.rpartition("::")[2]
        return self

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
        self._op.implement(device, self._form.forward(forward), self._form.backward(backward), _place_of_caller())
        return forward

    def __call__(self, /, *inputs, **keywords):
        """Runs it on tensors, by place or by name, with attributes by name: one tensor, or a tuple of several."""
        if len(inputs) < len(self._form.inputs):
            inputs = self._form.completed(self.name, inputs, keywords)
        outputs = self._op(inputs, keywords)
        return outputs[0] if len(outputs) == 1 else outputs

    def __repr__(self):
        parts = list(self._op.inputs) + [f"{name}={value}" for name, value in self._op.attributes.items()]
        return f"<taut.CustomOp {self.name}({', '.join(parts)})>"


class _Form:
    """The names of an op's inputs and attributes, and its functions as the C++ half calls them.

    What it makes of a function takes (call, tensors, values of the attributes), and holds no reference to the op, which
    holds it.
    """

    def __init__(self, inputs, attributes):
        self.inputs = tuple(name.rstrip("?") for name in inputs)
        self._optional = tuple(name.endswith("?") for name in inputs)
        self._attributes = tuple(attributes)

    def completed(self, op, inputs, keywords):
        """The inputs by place, with those that were given by name, taken out of the keywords, or not at all."""
        inputs = list(inputs)
        for i in range(len(inputs), len(self.inputs)):
            if self.inputs[i] not in keywords and not self._optional[i]:
                raise TypeError(f"{op}() misses its input '{self.inputs[i]}'")
            inputs.append(keywords.pop(self.inputs[i], None))
        return inputs

    def check(self, function):
        return function and (lambda _, tensors, values: function(*tensors, **self._named(values)))

    def composed(self, function):
        return function and (lambda _, tensors, values: _sequence(function(*tensors, **self._named(values)), "composed"))

    def forward(self, function):
        def run(call, tensors, values):
            attributes = self._named(values)
            return _sequence(function(self._context(call, attributes), *tensors, **attributes), "forward")

        return run

    def backward(self, function):
        return function and (
            lambda call, grads, values: _sequence(function(self._context(call, self._named(values)), *grads), "backward")
        )

    def _named(self, values):
        return dict(zip(self._attributes, values))

    def _context(self, call, attributes):
        return CustomOpContext(call, attributes, len(self.inputs))


def load_library(path):
    """Loads a plugin, a shared library that registers ops of C++, and returns their names; none when it was loaded before.

    A library is code: load none that you would not run. OSError when it cannot be read, ValueError when it was not built
    for this version of Taut.
    """
    return tuple(_C._load_library(os.fspath(path)))
