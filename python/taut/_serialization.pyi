# Written by python/make_stubs.py; do not edit.
from typing import Any

from . import io as io
from . import FormatError as FormatError, Tensor as Tensor
def load(f: Any, map_location: Any = ..., *, weights_only: Any = ..., mmap: Any = ...) -> Any: ...
def save(obj: Any, f: Any, metadata: Any = ...) -> Any: ...
