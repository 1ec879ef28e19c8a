"""Running the tape backwards, and functions with derivatives of your own."""

import sys as _sys

from .. import _C
from .._C import Node, Tensor
from .._modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from .function import Function
from . import function, functional, graph

__all__ = [
    "Function", "Node", "backward", "detect_anomaly", "enable_grad", "function", "functional", "grad",
    "gradcheck", "gradgradcheck", "graph", "inference_mode", "no_grad", "set_detect_anomaly", "set_grad_enabled",
]


def _as_tuple(tensors):
    if tensors is None:
        return ()
    return (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Adds the gradients of `tensors` to the .grad of the leaves that they were computed from.

    grad_tensors: the gradients to start with; may be left out for tensors of one element. retain_graph keeps the graph for
    another walk; create_graph records the walk itself. inputs: only these leaves. Raises AutogradError for a tensor that does
    not require grad, a graph that was freed, or a saved tensor that was written to."""
    inputs = _as_tuple(inputs) if inputs is not None else None
    if inputs == ():
        raise RuntimeError("backward: inputs cannot be empty")
    _C._backward(_as_tuple(tensors), _as_tuple(grad_tensors), retain_graph, create_graph, inputs or ())


def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=None, *,
    is_grads_batched=False, materialize_grads=False,
):
    """The gradients of `outputs` by `inputs`, as a tuple; .grad is left alone.

    Arguments as for backward. An input that was not used is an AutogradError, unless allow_unused gives None or
    materialize_grads zeros for it. is_grads_batched: each of grad_outputs has one more dim in front, over which the graph is
    walked once for each row, and so have the gradients: the rows of a Jacobian, for one."""
    if allow_unused is None:
        allow_unused = materialize_grads
    elif not allow_unused and materialize_grads:
        raise ValueError("grad: materialize_grads gives zeros for unused inputs, which allow_unused=False forbids")
    outputs, inputs, starts = _as_tuple(outputs), _as_tuple(inputs), _as_tuple(grad_outputs)
    if not is_grads_batched:
        return _C._grad(outputs, inputs, starts, retain_graph, create_graph, allow_unused, materialize_grads)
    count = _batch_size(starts)
    walks = []
    for row in range(count):
        keep = True if row + 1 < count else retain_graph
        start = tuple(None if start is None else start[row] for start in starts)
        walks.append(_C._grad(outputs, inputs, start, keep, create_graph, allow_unused, materialize_grads))
    return tuple(None if rows[0] is None else _C.stack(rows) for rows in zip(*walks))


def _batch_size(grad_outputs):
    """How many gradients there are in batched grad_outputs."""
    shapes = [tuple(start.shape) for start in grad_outputs if start is not None]
    if not shapes or () in shapes or len({shape[0] for shape in shapes}) > 1 or shapes[0][0] == 0:
        raise ValueError(
            "grad: with is_grads_batched, grad_outputs must have a first dim of the same size, at least 1; got "
            + (", ".join(map(str, shapes)) or "none")
        )
    return shapes[0][0]


def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True):
    """Compares the gradients of a function with finite differences, at float64 inputs. AutogradError, or False, where they differ."""
    return _C._gradcheck(func, _as_tuple(inputs), eps, atol, rtol, raise_exception)


def gradgradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True):
    """The same for second derivatives."""
    return _C._gradgradcheck(func, _as_tuple(inputs), eps, atol, rtol, raise_exception)


class set_detect_anomaly:
    """Switches anomaly mode at once, and back on leaving a `with`."""

    def __init__(self, mode, check_nan=True):
        # The guard switches back when it goes.
        self._guard = _C._AnomalyMode(mode, check_nan)
        _guards.append(self._guard)

    def __enter__(self):
        pass

    def __exit__(self, *_):
        _guards.remove(self._guard)
        self._guard = None


_guards = []


class detect_anomaly:
    """Reports the first gradient that is not finite, with the Python line of the op that it belongs to."""

    def __init__(self, check_nan=True):
        self._check_nan = check_nan

    def __enter__(self):
        self._guard = _C._AnomalyMode(True, self._check_nan)

    def __exit__(self, *_):
        self._guard = None


def _call_site():
    """Where the running op was called, without this package's own frames."""
    lines = []
    frame = _sys._getframe(0)
    package = __name__.partition(".")[0]
    while frame is not None and len(lines) < 8:
        module = frame.f_globals.get("__name__", "")
        if module != package and not module.startswith(package + "."):
            lines.append(f"  {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
        frame = frame.f_back
    return "\n".join(lines)
