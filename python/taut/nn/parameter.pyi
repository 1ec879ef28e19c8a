# Written by python/make_stubs.py; do not edit.
from typing import Any

from .. import Tensor as Tensor
class Parameter:
    def __getattr__(self, name: str) -> Any: ...
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
