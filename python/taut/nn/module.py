"""What Python adds to nn.Module: attributes that register themselves, calls, iteration."""

from collections import OrderedDict, namedtuple
from types import FunctionType

from .. import _C
from .._C import Tensor, _nn
from .parameter import Parameter

Module = _nn.Module
_IncompatibleKeys = namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])


def _setattr(self, name, value):
    if isinstance(value, Parameter):
        self.__dict__.pop(name, None)
        self.register_parameter(name, value)
        return
    if isinstance(value, Module):
        self.__dict__.pop(name, None)
        self.add_module(name, value)
        return
    kind = self._kind(name)
    if kind == "parameter":
        if value is not None:
            raise TypeError(f"cannot assign a {type(value).__name__} to the parameter '{name}'; expected an nn.Parameter or None")
        self.register_parameter(name, None)
    elif kind == "buffer" and (value is None or isinstance(value, Tensor)):
        self.register_buffer(name, value)
    elif kind == "module" and value is None:
        self._unregister(name)
        object.__setattr__(self, name, None)
    else:
        object.__setattr__(self, name, value)


def _getattr(self, name):
    """Called for what is no ordinary attribute."""
    if not name.startswith("__"):
        found = Module._find(self, name)
        if found is not NotImplemented:
            return found
    raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


def _delattr(self, name):
    if not self._unregister(name):
        object.__delattr__(self, name)


def _dir(self):
    parts = [name for name, _ in self._named_parameters("", False)] + [name for name, _ in self._named_buffers("", False)]
    return sorted(set(object.__dir__(self)) | set(parts) | {name for name, _ in self._named_children()})


def _call(self, *args, **kwargs):
    # A forward of Python takes any arguments; hooks see tensors only and run in C++.
    if isinstance(getattr(type(self), "forward"), FunctionType) and "_has_hooks" not in self.__dict__:
        return self.forward(*args, **kwargs)
    if kwargs:
        raise TypeError(f"{type(self).__name__}: named arguments do not reach a forward of C++ or one behind hooks")
    return self._call(*args)


def _parameters(self, recurse=True):
    return (parameter for _, parameter in self._named_parameters("", recurse))


def _named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
    return iter(self._named_parameters(prefix, recurse))


def _buffers(self, recurse=True):
    return (buffer for _, buffer in self._named_buffers("", recurse))


def _named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
    return iter(self._named_buffers(prefix, recurse))


def _children(self):
    return (child for _, child in self._named_children())


def _named_children(self):
    return iter(self._named_children())


def _modules(self):
    return (module for _, module in self._named_modules(""))


def _named_modules(self, memo=None, prefix="", remove_duplicate=True):
    return iter(self._named_modules(prefix))


def _train(self, mode=True):
    Module._train(self, bool(mode))
    return self


def _eval(self):
    return self.train(False)


def _requires_grad_(self, requires_grad=True):
    self._requires_grad_(requires_grad)
    return self


def _to(self, *args, dtype=None, device=None, non_blocking=False):
    for arg in args:
        if isinstance(arg, _C.dtype):
            dtype = arg
        elif isinstance(arg, Tensor):
            dtype, device = arg.dtype, arg.device
        else:
            device = arg
    self._to(dtype, None if device is None else _C.device(device))
    return self


def _apply(self, fn):
    for child in self.children():
        child.apply(fn)
    fn(self)
    return self


def _state_dict(self, *, prefix="", keep_vars=False):
    return OrderedDict(self._state_dict(prefix))


def _load_state_dict(self, state_dict, strict=True):
    return _IncompatibleKeys(*self._load_state_dict(dict(state_dict), strict))


_METHODS = {
    "__setattr__": _setattr, "__getattr__": _getattr, "__delattr__": _delattr, "__dir__": _dir, "__call__": _call,
    "parameters": _parameters, "named_parameters": _named_parameters, "buffers": _buffers, "named_buffers": _named_buffers,
    "children": _children, "named_children": _named_children, "modules": _modules, "named_modules": _named_modules,
    "train": _train, "eval": _eval, "requires_grad_": _requires_grad_, "to": _to, "apply": _apply,
    "state_dict": _state_dict, "load_state_dict": _load_state_dict,
    "register_module": lambda self, name, module: self.add_module(name, module),
    "cpu": lambda self: self.to("cpu"), "cuda": lambda self, device=None: self.to("cuda" if device is None else device),
    "float": lambda self: self.to(_C.float32), "double": lambda self: self.to(_C.float64),
    "half": lambda self: self.to(_C.float16), "bfloat16": lambda self: self.to(_C.bfloat16),
    "training": property(lambda self: self._training, lambda self, mode: Module._train(self, bool(mode))),
}
for _name, _method in _METHODS.items():
    if isinstance(_method, FunctionType):
        _method.__name__ = _name
    setattr(Module, _name, _method)


def _item(self, index):
    if isinstance(index, slice):
        return type(self)(*list(self)[index]) if isinstance(self, _nn.Sequential) else type(self)(list(self)[index])
    return self._at(index)


for _container in (_nn.Sequential, _nn.ModuleList):
    _container.__getitem__ = _item
    _container.__iter__ = lambda self: (child for _, child in self._named_children())
_nn.ModuleList.__iadd__ = lambda self, modules: self.extend(list(modules))
_nn.ModuleDict.__iter__ = lambda self: iter(self.keys())
_nn.ModuleDict.values = lambda self: [child for _, child in self._named_children()]
_nn.ModuleDict.items = lambda self: self._named_children()
