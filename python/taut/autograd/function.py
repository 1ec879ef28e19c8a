"""Ops of your own in Python: subclass Function, write forward and backward, call apply."""

from .. import _C
from .._C import Tensor


__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx:
    """What forward leaves for backward. Attributes of your own may be set on it."""

    def __init__(self):
        self._handle = None
        self._needs_input_grad = ()

    def save_for_backward(self, *tensors):
        """Keeps tensors for backward, under the rules of the tape: a write to them is noticed."""
        self._handle.save_for_backward(tensors)

    @property
    def saved_tensors(self):
        """What save_for_backward kept."""
        return self._handle.saved_tensors()

    @property
    def needs_input_grad(self):
        """For each argument of forward, whether its gradient is wanted."""
        return self._needs_input_grad

    def mark_non_differentiable(self, *outputs):
        """Outputs that never require grad."""
        self._handle.mark_non_differentiable(outputs)

    def mark_dirty(self, *inputs):
        """Inputs that forward wrote to."""
        self._handle.mark_dirty(inputs)

    def set_materialize_grads(self, value):
        """Whether backward gets zeros (the default) or None for outputs without a gradient."""
        self._handle.set_materialize_grads(value)


class Function:
    """The base of ops with a derivative of your own: static forward(ctx, ...) and backward(ctx, *grads), or
    forward(...) with setup_context(ctx, inputs, output)."""

    @staticmethod
    def forward(*args, **kwargs):
        """The computation; a subclass defines it."""
        raise NotImplementedError("a Function needs a static method forward")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """What a forward without ctx keeps for backward."""
        raise NotImplementedError("setup_context")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """The gradient of each argument of forward, from those of its outputs; None where there is none."""
        raise NotImplementedError("a Function needs a static method backward to be differentiated")

    @classmethod
    def apply(cls, *args):
        """Runs forward on the arguments and records it."""
        ctx = FunctionCtx()
        places = [i for i, arg in enumerate(args) if isinstance(arg, Tensor)]
        separate = cls.setup_context is not Function.setup_context
        shape = {}

        def forward(handle):
            ctx._handle = handle
            needs = handle.needs_input_grad()
            needed = [False] * len(args)
            for place, need in zip(places, needs):
                needed[place] = need
            ctx._needs_input_grad = tuple(needed)
            if separate:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args)
            ctx._handle = None
            shape["single"] = isinstance(result, Tensor)
            if shape["single"]:
                return (result,)
            # What is no tensor goes round the tape.
            shape["others"] = {i: item for i, item in enumerate(result) if not isinstance(item, Tensor)}
            return tuple(item for item in result if isinstance(item, Tensor))

        def backward(handle, grads):
            ctx._handle = handle
            others = shape.get("others")
            if others:
                full = list(grads)
                for i in sorted(others):
                    full.insert(i, None)
                grads = full
            result = cls.backward(ctx, *grads)
            ctx._handle = None
            if not isinstance(result, (tuple, list)):
                result = (result,)
            if len(result) != len(args) and any(item is not None for item in result[len(args):]):
                raise RuntimeError(
                    f"{cls.__name__}: backward returned {len(result)} gradients; expected {len(args)}, one for "
                    "each argument of forward"
                )
            result = tuple(result) + (None,) * (len(args) - len(result))
            for i, item in enumerate(result[: len(args)]):
                if item is not None and i not in places:
                    raise RuntimeError(
                        f"{cls.__name__}: backward returned a gradient for argument {i}, which is no tensor"
                    )
            return tuple(result[i] for i in places)

        outputs = _C._apply_function(cls.__name__, tuple(args[i] for i in places), forward, backward)
        if shape["single"]:
            return outputs[0]
        result = list(outputs)
        for i in sorted(shape["others"]):
            result.insert(i, shape["others"][i])
        return tuple(result)


def once_differentiable(function):
    """Marks a backward whose own derivative is not to be taken."""
    import functools

    from .._modes import no_grad

    @functools.wraps(function)
    def run(ctx, *grads):
        with no_grad():
            return function(ctx, *grads)

    return run
