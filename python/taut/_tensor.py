"""The parts of taut.Tensor that are Python: copying, pickling, formatting, hooks."""

import sys

from . import _C, autograd
from ._C import Tensor


def _new_tensor(*args, dtype=None, device=None):
    """taut.Tensor(...): sizes give uninitialised elements, anything else is data of the default dtype."""
    if not args:
        return _C.empty((0,), dtype=dtype, device=device)
    if all(isinstance(arg, int) for arg in args) or isinstance(args[0], _C.Size):
        return _C.empty(*args, dtype=dtype, device=device)
    if len(args) > 1:
        raise TypeError(f"Tensor: expected sizes or one object with data; got {len(args)} arguments")
    if isinstance(args[0], Tensor):
        return args[0].detach()
    return _C.tensor(args[0], dtype=dtype or _C.get_default_dtype(), device=device)


def _rebuild(kind, data, dtype, shape, requires_grad, state):
    if shape is None:
        tensor = data
    else:
        tensor = _C._from_bytes(data, dtype, shape)
    tensor = _C._as_subclass(kind, tensor)
    if requires_grad is not tensor.requires_grad:
        tensor.requires_grad_(requires_grad)
    if state:
        tensor.__dict__.update(state)
    return tensor


def _reduce_ex(self, protocol):
    if not self.is_leaf:
        raise RuntimeError("only leaf tensors can be pickled; detach() the tensor first")
    plain = self.detach().cpu().contiguous()
    data = _C._to_bytes(plain)
    return _rebuild, (type(self), data, self.dtype, tuple(self.shape), self.requires_grad, dict(self.__dict__))


def _copy(self):
    """A new tensor over the same elements, as copy.copy gives for every object."""
    result = _C._as_subclass(type(self), self.detach())
    if self.requires_grad:
        result.requires_grad_()
    result.__dict__.update(self.__dict__)
    return result


def _deepcopy(self, memo):
    import copy

    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError(
            "deepcopy: only leaf tensors can be copied with their place in the tape; use clone() or detach()"
        )
    result = _C._as_subclass(type(self), self.detach().clone())
    memo[id(self)] = result
    if self.requires_grad:
        result.requires_grad_()
    if self.grad is not None:
        result.grad = copy.deepcopy(self.grad, memo)
    result.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return result


def _format(self, spec):
    if self.dim() == 0:
        return format(self.item(), spec)
    return object.__format__(self, spec)


def _array(self, dtype=None, copy=None):
    array = self.numpy()
    if dtype is not None and array.dtype != dtype:
        if copy is False:
            raise ValueError(f"__array__: {array.dtype} to {dtype} needs a copy, which copy=False forbids")
        return array.astype(dtype)
    return array.copy() if copy else array


def _reversed(self):
    if self.dim() == 0:
        return self
    return self.flip(0)


def _backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Adds the gradients of this tensor to the .grad of the leaves that it was computed from; see taut.autograd.backward."""
    autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)


def _register_hook(self, hook):
    """Lets hook(grad) see this tensor's gradient in backward, and replace it. Returns a handle whose remove() takes the hook away."""
    return _C._register_hook(self, hook)


def _register_post_accumulate_grad_hook(self, hook):
    """Lets hook(tensor) run after .grad of this leaf got its gradient. Returns a handle."""
    return _C._register_post_accumulate_grad_hook(self, hook)


def _as_subclass(self, cls):
    """The same elements as a tensor of a subclass."""
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"as_subclass: expected a subclass of taut.Tensor; got {cls!r}")
    return _C._as_subclass(cls, _C.alias(self))


def _apply_(self, function):
    """Replaces each element by function(element), one after the other: slow, for the CPU only."""
    flat = [function(value) for value in self.reshape(-1).tolist()]
    return self.copy_(_C.tensor(flat, dtype=self.dtype).reshape(self.shape))


def _map_(self, other, function):
    """Replaces each element a by function(a, b), b from `other`: slow, for the CPU only."""
    pairs = zip(self.reshape(-1).tolist(), other.reshape(-1).tolist())
    flat = [function(a, b) for a, b in pairs]
    return self.copy_(_C.tensor(flat, dtype=self.dtype).reshape(self.shape))


def _share_memory_(self):
    """Not there: tensors go between processes by pickling."""
    raise NotImplementedError("share_memory_: pass tensors between processes by pickling them")


_METHODS = {
    "__reduce_ex__": _reduce_ex,
    "__copy__": _copy,
    "__deepcopy__": _deepcopy,
    "__format__": _format,
    "__array__": _array,
    "__reversed__": _reversed,
    "backward": _backward,
    "register_hook": _register_hook,
    "register_post_accumulate_grad_hook": _register_post_accumulate_grad_hook,
    "as_subclass": _as_subclass,
    "apply_": _apply_,
    "map_": _map_,
    "share_memory_": _share_memory_,
}

for _name, _method in _METHODS.items():
    _method.__name__ = _name
    _method.__qualname__ = "Tensor." + _name
    setattr(Tensor, _name, _method)
