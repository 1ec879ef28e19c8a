"""Automatic mixed precision: where ops choose the dtype that they are computed in."""

from . import _C
from ._modes import _Mode


class autocast(_Mode):
    """Ops choose the dtype that they are computed in, within a `with` or a function that this decorates.

    On tensors of device_type ("cuda" or "cpu"), products and convolutions cast float32 to dtype: bfloat16 or, on CUDA only and
    by default there, float16. Exponentials, norms, losses and sums cast such values back to float32; all other ops take the
    widest dtype of their arguments. enabled=False switches autocast off for a part of such a scope. The cast of a weight is kept
    up to the end of the outermost scope, unless cache_enabled is False.

    Only the forward pass and the loss belong into the scope. ValueError for another dtype.

    >>> x = taut.ones(2, 2)
    >>> with taut.autocast("cpu"):
    ...     print((x @ x).dtype, x.exp().dtype)
    taut.bfloat16 taut.float32
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        _C._check_autocast_device(device_type)
        self._settings = device_type, dtype, bool(enabled), cache_enabled
        self._scopes = []

    def _again(self):
        return type(self)(*self._settings)

    def __enter__(self):
        self._scopes.append(_C._AutocastScope(*self._settings))
        return self

    def __exit__(self, *_):
        self._scopes.pop().close()


def is_autocast_enabled(device_type="cuda"):
    """Whether autocast is on for tensors of a type of device, on this thread."""
    return _C._is_autocast_enabled(device_type)


def get_autocast_dtype(device_type):
    """The 16-bit float that autocast uses on a type of device, or would."""
    return _C._get_autocast_dtype(device_type)
