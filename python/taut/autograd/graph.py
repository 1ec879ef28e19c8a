"""The tape itself: its nodes, and what it keeps for backward."""

from .. import _C
from .._C import Node

__all__ = ["Node", "save_on_cpu", "saved_tensors_hooks"]


class saved_tensors_hooks:
    """Within a `with`, pack_hook(tensor) is called for each tensor that is saved, and unpack_hook gives it back."""

    def __init__(self, pack_hook, unpack_hook):
        self._hooks = (pack_hook, unpack_hook)
        self._guards = []

    def __enter__(self):
        self._guards.append(_C._SavedTensorsHooks(*self._hooks))

    def __exit__(self, *_):
        self._guards.pop()


class save_on_cpu(saved_tensors_hooks):
    """Keeps what is saved for backward in the CPU's memory."""

    def __init__(self, pin_memory=False, device_type="cuda"):
        super().__init__(lambda tensor: (tensor.device, tensor.cpu()), lambda packed: packed[1].to(packed[0]))
