"""Functions that become captured graphs: arguments and results are taken apart here, the rest is C++."""

import os
import traceback
import warnings

from . import _C
from ._structure import anything, name_of, plain, put_together, take_apart

__all__ = ["GraphedStep", "make_graphed"]

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def _plain(value):
    return plain(value, "make_graphed")


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
        structure = take_apart((args, kwargs), tensors, _plain)
        ran = []
        self._place = ""

        def run(inputs):
            given, named = put_together(structure, iter(inputs))
            try:
                result = self._step(*given, **named)
            except Exception as error:
                self._place = _where(error)
                raise
            outputs = []
            ran[:] = [take_apart(result, outputs, anything)]
            return outputs

        outputs = self._graphed.call(tensors, name_of(structure), run)
        results = self._results_of(self._graphed.latest_kind, ran)
        if self._graphed.fallback_reason and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"make_graphed: runs without a graph: {self._graphed.fallback_reason}{self._place}", UserWarning, stacklevel=2
            )
        return put_together(results, iter(outputs))

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
