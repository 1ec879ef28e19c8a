"""Functions that become captured graphs: arguments and results are taken apart here, the rest is C++."""

import enum
import os
import traceback
import warnings

from . import _C
from ._C import Tensor

__all__ = ["GraphedStep", "make_graphed"]

_PLAIN = (bool, int, float, complex, str, bytes, type(None), enum.Enum, _C.dtype, _C.device)
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class _Hole:
    """Where a tensor stood in a structure."""


_HOLE = _Hole()


def _take_apart(value, tensors, keep):
    """The structure of nested tuples, lists and dicts, with its tensors moved to a list.

    `keep` says what becomes of anything else.
    """
    if isinstance(value, Tensor):
        tensors.append(value)
        return _HOLE
    if isinstance(value, tuple):
        parts = [_take_apart(item, tensors, keep) for item in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [_take_apart(item, tensors, keep) for item in value]
    if isinstance(value, dict):
        return {keep(name): _take_apart(item, tensors, keep) for name, item in value.items()}
    return keep(value)


def _put_together(structure, tensors):
    """The structure with the next tensors of an iterator in the places of its own."""
    if structure is _HOLE:
        return next(tensors)
    if isinstance(structure, tuple):
        parts = [_put_together(item, tensors) for item in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else tuple(parts)
    if isinstance(structure, list):
        return [_put_together(item, tensors) for item in structure]
    if isinstance(structure, dict):
        return {name: _put_together(item, tensors) for name, item in structure.items()}
    return structure


def _plain(value):
    if isinstance(value, _PLAIN):
        return value
    raise TypeError(
        f"make_graphed: got an argument of type {type(value).__name__}; expected tensors, numbers, words, None, and tuples, "
        "lists and dicts of these: what else the step needs it can refer to"
    )


def _anything(value):
    return value


def _name_of(structure):
    """A text that differs between structures that differ, plain values included."""
    if structure is _HOLE:
        return "_"
    if isinstance(structure, (tuple, list)):
        return f"{type(structure).__name__}[{','.join(map(_name_of, structure))}]"
    if isinstance(structure, dict):
        return "{" + ",".join(f"{_name_of(name)}:{_name_of(item)}" for name, item in structure.items()) + "}"
    return f"{type(structure).__name__} {structure!r}"


def _where(error):
    """The line of the user's code that an error comes from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_PACKAGE)]
    return f" ({frames[-1].filename}:{frames[-1].lineno}, in {frames[-1].name})" if frames else ""


class GraphedStep:
    """A function that becomes a captured graph for each kind of calls: see make_graphed."""

    def __init__(self, step, *, device=None, warmup=3, clone_outputs=False, max_graphs=4):
        self._step = step
        device = None if device is None else _C.device(device)
        self._graphed = _C._cuda.GraphedStep(device, warmup, clone_outputs, max_graphs)
        self._results = {}  # the structure of a kind's results
        self._place = ""
        self._has_warned = False

    def __call__(self, *args, **kwargs):
        tensors = []
        structure = _take_apart((args, kwargs), tensors, _plain)
        ran = []
        self._place = ""

        def run(inputs):
            given, named = _put_together(structure, iter(inputs))
            try:
                result = self._step(*given, **named)
            except Exception as error:
                self._place = _where(error)
                raise
            outputs = []
            ran[:] = [_take_apart(result, outputs, _anything)]
            return outputs

        outputs = self._graphed.call(tensors, _name_of(structure), run)
        results = self._results_of(self._graphed.latest_kind, ran)
        if self._graphed.fallback_reason and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"make_graphed: runs without a graph: {self._graphed.fallback_reason}{self._place}", UserWarning, stacklevel=2
            )
        return _put_together(results, iter(outputs))

    def _results_of(self, kind, ran):
        if not ran:
            return self._results[kind]
        living = set(self._graphed.kinds)
        self._results = {number: held for number, held in self._results.items() if number in living}
        if kind in living:
            self._results[kind] = ran[0]
        return ran[0]

    @property
    def graphs(self):
        """How many kinds of calls have a graph now."""
        return self._graphed.graphs

    @property
    def fallback_reason(self):
        """What could not be captured, and why; empty when everything could."""
        return self._graphed.fallback_reason


def make_graphed(step, *, device=None, warmup=3, clone_outputs=False, max_graphs=4):
    """A function that does what `step` does, as a captured graph once it was called `warmup` times.

    `step` takes and returns tensors and plain values, also in tuples, lists and dicts; a whole training step with its
    optimizer, GradScaler and schedule is the best use. Tensors are copied to `device`, the current GPU by default, while
    the call before still runs when they come from the host; a pinned one must not be written to before its copy is done.
    Calls of other shapes, dtypes, plain values or modes (grad mode, autocast) get graphs of their own, at most max_graphs.
    What cannot be captured runs as it is, after a warning that says what and where.

    Host code in `step` runs at the capture only, and results that are no tensors are those of the capture. Tensors among
    the results are outside of the tape, and the next call writes to them: clone what must last, or ask for
    clone_outputs=True. On the CPU (device="cpu", or no GPU) `step` is simply called.

    >>> double = taut.cuda.make_graphed(lambda x, by: x * by, device="cpu")
    >>> double(taut.ones(2), by=2.0)
    tensor([2., 2.])
    """
    return GraphedStep(step, device=device, warmup=warmup, clone_outputs=clone_outputs, max_graphs=max_graphs)
