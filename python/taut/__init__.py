"""Taut: an eager tensor library with a tape autograd.

    import taut
    x = taut.randn(3, requires_grad=True)
    (x * x).sum().backward()
    x.grad

The names and their meaning are PyTorch's: a script is ported by renaming the import.
"""

from math import e, inf, nan, pi

from . import _C
from ._C import *  # noqa: F403
from . import _tensor  # noqa: F401  completes the class Tensor
from ._custom_op import CustomOp, load_library
from ._fuse import FusedFunction, fuse
from ._autocast import autocast, get_autocast_dtype, is_autocast_enabled
from ._modes import enable_grad, inference_mode, is_inference_mode_enabled, no_grad, set_grad_enabled
from ._serialization import load, save
from .random import get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from ._settings import finfo, get_printoptions, iinfo, set_printoptions

__version__ = _C._version

strided = "strided"  # the only layout there is
newaxis = None


def is_tensor(obj):
    """Whether an object is a taut.Tensor."""
    return isinstance(obj, Tensor)


def typename(obj):
    """The type of an object as text, as in 'taut.FloatTensor' or 'builtins.int'."""
    if isinstance(obj, Tensor):
        return obj.type()
    return f"{type(obj).__module__}.{type(obj).__qualname__}"


_LAZY = ("ai", "amp", "autograd", "config", "cuda", "io", "linalg", "nn", "ops", "optim", "profiler", "special", "utils")


def __getattr__(name):
    if name in _LAZY:
        import importlib

        module = importlib.import_module("." + name, __name__)
        globals()[name] = module
        return module
    raise AttributeError(f"module 'taut' has no attribute '{name}'")


def __dir__():
    return sorted({name for name in globals() if not name.startswith("_")} | set(_LAZY))
