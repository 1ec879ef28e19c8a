# Written by python/make_stubs.py; do not edit.
from collections.abc import Callable, Iterator, Sequence
from typing import Any, SupportsIndex, overload

_int = int
_float = float
_bool = bool
Number = _int | _float | _bool
from . import DeviceLike, Generator, Size, Tensor
from . import device as _device
from . import dtype as _dtype

def matmul(input: Tensor, other: Tensor) -> Tensor: ...
def matrix_power(input: Tensor, n: _int) -> Tensor: ...
def multi_dot(tensors: Sequence[Tensor]) -> Tensor: ...
def vecdot(x: Tensor, y: Tensor, *, dim: _int = -1) -> Tensor: ...
def vector_norm(x: Tensor, ord: _float = 2.0, dim: _int | Sequence[_int] | None = None, keepdim: _bool = False, *, dtype: _dtype | None = None) -> Tensor: ...
