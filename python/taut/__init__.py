"""Taut: an eager tensor library with a tape autograd.

    import taut
    x = taut.randn(3, requires_grad=True)
    (x * x).sum().backward()
    x.grad

The names and their meaning are PyTorch's: a script is ported by renaming the import.
"""

from . import _C
from ._C import *  # noqa: F403
from ._C import Tensor, device, dtype, float32, memory_format, Size
from . import _tensor  # completes the class Tensor
from ._modes import enable_grad, inference_mode, is_inference_mode_enabled, no_grad, set_grad_enabled
from ._settings import finfo, get_printoptions, iinfo, set_printoptions

__version__ = _C._version

# Names that hide a built-in or that `import *` leaves out.
bool = _C.bool_
strided = "strided"
inf = float("inf") if False else _C._inf
nan = _C._nan
pi = 3.141592653589793
e = 2.718281828459045
newaxis = None

_LAZY = ("autograd", "config", "cuda", "linalg", "nn", "random", "special")


def __getattr__(name):
    if name in _LAZY:
        import importlib

        module = importlib.import_module("." + name, __name__)
        globals()[name] = module
        return module
    raise AttributeError(f"module 'taut' has no attribute '{name}'")


def __dir__():
    return sorted({name for name in globals() if not name.startswith("_")} | set(_LAZY))
