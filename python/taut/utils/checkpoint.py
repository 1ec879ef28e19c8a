"""Trading time for memory: what a function saves for backward is computed again when backward asks for it."""

from .. import _C
from .._C import Tensor

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(function, *args, use_reentrant=None, preserve_rng_state=True, **kwargs):
    """function(*args), of which nothing is saved but the arguments: backward runs it again.

    Random numbers are the same the second time. use_reentrant and preserve_rng_state are PyTorch's; this is always the
    reentrant-free form that preserves them."""
    places = [i for i, arg in enumerate(args) if isinstance(arg, Tensor)]
    shape = {}

    def run(*tensors):
        full = list(args)
        for place, tensor in zip(places, tensors):
            full[place] = tensor
        result = function(*full, **kwargs)
        shape["single"] = isinstance(result, Tensor)
        return result

    outputs = _C._checkpoint(run, tuple(args[i] for i in places))
    return outputs[0] if shape["single"] else outputs


def checkpoint_sequential(functions, segments, input, use_reentrant=None, preserve_rng_state=True):
    """Runs a list of functions one after the other, in `segments` checkpointed groups; the last is not."""
    functions = list(functions.children() if hasattr(functions, "children") else functions)

    def run(part):
        def forward(value):
            for function in part:
                value = function(value)
            return value

        return forward

    size = len(functions) // segments
    end = 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        input = checkpoint(run(functions[start:end]), input)
    return run(functions[end:])(input)
