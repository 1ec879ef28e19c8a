"""Functions whose elementwise ops, views and reductions become a few generated kernels: arguments and results are taken
apart here, the rest is C++."""

import functools
import warnings

from . import _C
from ._C import Tensor
from ._structure import anything, is_hole, name_of, plain, put_together, take_apart

__all__ = ["FusedFunction", "fuse"]


def _plain(value):
    return plain(value, "fuse")


class FusedFunction:
    """A function that runs as generated kernels on a GPU: see fuse."""

    def __init__(self, function, *, wait=False, max_kinds=64):
        self._function = function
        self._fused = _C._FusedFunction(wait, max_kinds)
        self._results = {}  # the structure of a kind's results
        self._has_warned = False
        # A module's parameters are inputs that are not given.
        self._is_module = hasattr(function, "parameters") and hasattr(function, "buffers")
        # What is run again for second derivatives, for each key of calls that have a kind: calls of one key
        # differ in tensors only.
        self._runs = {}
        if not self._is_module:
            functools.update_wrapper(self, function)

    def _run_of(self, structure, ran=None):
        """The function as one of a list of tensors, with the other arguments in it; `ran` gets the structure of what it
        returned."""
        function = self._function

        def run(inputs):
            given, named = (inputs, {}) if structure is None else put_together(structure, iter(inputs))
            outputs = []
            result = take_apart(function(*given, **named), outputs, anything)
            if ran is not None:
                ran[:] = [result]
            return outputs

        return run

    def _prepare(self, args, kwargs):
        """The tensors of a call, the structure that they stand in, a key for all that is no tensor, and how many tensors are
        not given."""
        if not kwargs and all(isinstance(argument, Tensor) for argument in args):
            tensors, structure, key = args, None, ""
        else:
            tensors = []
            structure = take_apart((args, kwargs), tensors, _plain)
            key = name_of(structure)
        if not self._is_module:
            return tensors, structure, key, 0
        held = [*self._function.parameters(), *self._function.buffers()]
        key += "training" if self._function.training else "eval"
        return [*tensors, *held], structure, key, len(held)

    def __call__(self, *args, **kwargs):
        tensors, structure, key, referred = self._prepare(args, kwargs)
        run = self._runs.get(key)
        found = run and self._fused.call_if_ready(tensors, key, run, referred)
        if not found or found[0] not in self._results:
            return self._call_slowly(tensors, structure, key, referred)
        results = self._results[found[0]]
        return found[1] if is_hole(results) else put_together(results, iter(found[1:]))

    def _call_slowly(self, tensors, structure, key, referred):
        ran = []
        run = self._run_of(structure, ran)
        outputs, kind = self._fused.call(tensors, key, run, referred)
        if not ran and kind not in self._results:
            # Another thread's first call of the kind is not back yet.
            outputs = run(tensors[: len(tensors) - referred])
        if ran and kind:
            self._remember(kind, ran[0], structure, key)
        results = ran[0] if ran else self._results[kind]
        if self._fused.fallback and not self._has_warned:
            self._has_warned = True
            warnings.warn(f"fuse: runs as it is: {self._fused.fallback}", UserWarning, stacklevel=3)
        return put_together(results, iter(outputs))

    def _remember(self, kind, results, structure, key):
        self._results[kind] = results
        if key not in self._runs:
            self._runs[key] = self._run_of(structure)

    def compile(self, *args, **kwargs):
        """Makes the kernels for calls like this one and waits for them; the function is run. False where there are none."""
        tensors, structure, key, referred = self._prepare(args, kwargs)
        ran = []
        is_ready, kind = self._fused.compile(tensors, key, self._run_of(structure, ran), referred)
        if ran and kind:
            self._remember(kind, ran[0], structure, key)
        return is_ready

    @property
    def kinds(self):
        """What became of the calls so far: for each kind a dict with inputs, is_ready, refusal, forward_kernels,
        backward_kernels and source, the generated CUDA C++."""
        return self._fused.kinds

    def explain(self):
        """The same as text, a line for each kind."""
        lines = []
        for kind in self.kinds:
            if kind["refusal"]:
                what = f"runs as it is: {kind['refusal']}"
            elif not kind["is_ready"]:
                what = "is being compiled"
            else:
                what = f"{kind['forward_kernels']} kernels"
                if kind["backward_kernels"]:
                    what += f", {kind['backward_kernels']} for gradients"
            lines.append(f"({kind['inputs']}): {what}")
        return "\n".join(lines) or "no calls on a GPU yet: elsewhere the function runs as it is"


def fuse(function=None, *, wait=False, max_kinds=64):
    """A function that gives the same results in fewer kernels; also a decorator.

    Elementwise ops, casts, views, cat and stack, sums, means, extrema, variances, softmax and norms become kernels that are
    generated from the library's own functors and compiled by NVRTC, gradients included. The first call of a kind (shapes,
    dtypes, strides, which inputs require grad, other arguments) runs the function as it is and notes its ops; kernels are
    compiled in the background, or with wait=True before that call returns, and kept on the disk for other runs. On the CPU
    the function always runs as it is.

    Results agree within rounding: 16-bit floats are rounded where the function casts and returns, not after each op. The
    function must do the same for all calls of a kind, since its host code runs for the first ones only. What cannot be
    fused (matrix products, random numbers, writes to inputs, item(), tensors that are no arguments) makes the function run
    as it is, after a warning; explain() tells why. Calls beyond max_kinds kinds run as they are, too.

    `function` may be a taut.nn.Module, whose parameters get their gradients.

    >>> @taut.fuse
    ... def swiglu(x):
    ...     gate, value = x.chunk(2, -1)
    ...     return taut.nn.functional.silu(gate) * value
    >>> swiglu(taut.zeros(2, 4))
    tensor([[0., 0.],
            [0., 0.]])
    """
    if function is None:
        return functools.partial(fuse, wait=wait, max_kinds=max_kinds)
    return FusedFunction(function, wait=wait, max_kinds=max_kinds)
