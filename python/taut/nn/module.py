"""What Python adds to nn.Module: attributes that register themselves, calls, hooks, copies, iteration."""

from collections import OrderedDict, namedtuple
from types import FunctionType

from .. import _C
from .._C import Tensor, _nn
from ._copying import reduce_module, set_module_state
from ._hooks import call_with_hooks, hooks_of
from .parameter import Parameter

__all__ = ["Module"]

Module = _nn.Module


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What load_state_dict did not find, and what it had no place for."""

    def __repr__(self):
        return super().__repr__() if self.missing_keys or self.unexpected_keys else "<All keys matched successfully>"


_register_parameter = Module.register_parameter
_register_buffer = Module.register_buffer
_forward = Module.forward


class _ModuleMethods:
    """Methods that the class of C++ gets; see _complete below."""

    # Attributes -----------------------------------------------------------------------------------------------------------

    def __setattr__(self, name, value):
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
                raise TypeError(
                    f"cannot assign a {type(value).__name__} to the parameter '{name}'; expected an nn.Parameter or None"
                )
            self.register_parameter(name, None)
        elif kind == "buffer" and (value is None or isinstance(value, Tensor)):
            self.register_buffer(name, value)
        elif kind == "module" and value is None:
            self._unregister(name)
            object.__setattr__(self, name, None)
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name):
        # Called for what is no ordinary attribute.
        if not name.startswith("__"):
            found = Module._find(self, name)
            if found is not NotImplemented:
                return found
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name):
        if not self._unregister(name):
            object.__delattr__(self, name)

    def __dir__(self):
        parts = [name for name, _ in self._named_parameters("", False)] + [name for name, _ in self._named_buffers("", False)]
        return sorted(set(object.__dir__(self)) | set(parts) | {name for name, _ in self._named_children()})

    def register_parameter(self, name, param):
        """Makes a Parameter part of this module under `name`; None keeps the place of one that is not there.

        Raises ValueError for a name that is empty, holds a dot, or belongs to another part."""
        _register_parameter(self, name, param)
        _note_absent(self, name, "parameter", param)

    def register_buffer(self, name, tensor, persistent=True):
        """Makes a tensor part of this module without training it; a persistent one is in the state dict."""
        _register_buffer(self, name, tensor, persistent)
        _note_absent(self, name, "buffer", tensor)

    def register_module(self, name, module):
        """The same as add_module."""
        self.add_module(name, module)

    # Calls ----------------------------------------------------------------------------------------------------------------

    def __call__(self, *args, **kwargs):
        if "_hooks" in self.__dict__:
            return call_with_hooks(self, self.forward, args, kwargs)
        # A forward of one's own takes its own arguments; that of Module takes tensors.
        if type(self).forward is not _forward:
            return self.forward(*args, **kwargs)
        if kwargs:
            raise TypeError(f"{type(self).__name__}: its forward takes no named arguments; got {', '.join(kwargs)}")
        return self._call(*args)

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Lets hook(module, args) see the arguments before forward; what it returns, if anything, takes their place.

        With with_kwargs it is hook(module, args, kwargs), which returns None or both. prepend puts it before the others.
        Returns a handle whose remove() takes the hook away."""
        hooks = hooks_of(self)
        return hooks.add(hooks.before, prepend, hook, with_kwargs)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Lets hook(module, args, output) see the output of forward; what it returns, if anything, takes its place.

        With with_kwargs it is hook(module, args, kwargs, output). always_call runs it also when forward fails, with None for
        the output. Returns a handle whose remove() takes the hook away."""
        hooks = hooks_of(self)
        return hooks.add(hooks.after, prepend, hook, with_kwargs, always_call)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Lets hook(module, grad_output) see the gradients of the outputs; what it returns, if anything, takes their place."""
        hooks = hooks_of(self)
        return hooks.add(hooks.backward_before, prepend, hook)

    def register_full_backward_hook(self, hook, prepend=False):
        """Lets hook(module, grad_input, grad_output) see the gradients of inputs and outputs, both tuples.

        What it returns, if anything, takes the place of grad_input. An input that requires no grad has None there."""
        hooks = hooks_of(self)
        return hooks.add(hooks.backward, prepend, hook)

    # Parts ----------------------------------------------------------------------------------------------------------------

    def parameters(self, recurse=True):
        """All parameters, each once, those of this module first; `recurse` takes in the modules inside."""
        return (parameter for _, parameter in self._named_parameters("", recurse))

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs of name and parameter, as in the state dict: "hidden.weight".

        Without `remove_duplicate` what is shared comes under each of its names."""
        return iter(self._named_parameters(prefix, recurse, remove_duplicate))

    def buffers(self, recurse=True):
        """All buffers, each once."""
        return (buffer for _, buffer in self._named_buffers("", recurse))

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs of name and buffer."""
        return iter(self._named_buffers(prefix, recurse, remove_duplicate))

    def children(self):
        """The modules right inside this one."""
        return (child for _, child in self._named_children())

    def named_children(self):
        """Pairs of name and module, for those right inside this one."""
        return iter(self._named_children())

    def modules(self):
        """This module and all inside it, each once, outer before inner."""
        return (module for _, module in self._named_modules(""))

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Pairs of dotted name and module, this one first, without those in the set `memo`, which takes up what came.

        Without `remove_duplicate` what is shared comes under each of its names."""
        if memo is None:
            return iter(self._named_modules(prefix, remove_duplicate))
        return _modules_beside(memo, self, prefix, remove_duplicate)

    # State ----------------------------------------------------------------------------------------------------------------

    def train(self, mode=True):
        """Sets training mode here and in all modules inside: it changes what dropout and batch norm do."""
        Module._train(self, bool(mode))
        return self

    def eval(self):
        """train(False)."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Sets whether the parameters are trained."""
        self._requires_grad_(requires_grad)
        return self

    def to(self, *args, dtype=None, device=None, non_blocking=False, memory_format=None):
        """Casts floating parameters and buffers to a dtype, and moves all of them to a device. memory_format is the order of
        those of 4 and 5 dims: taut.channels_last, as convolutions on GPUs like it.

        They stay the same tensors, so that optimizers made before keep working. Raises DTypeError unless the dtype is
        floating."""
        for arg in args:
            if isinstance(arg, _C.dtype):
                dtype = arg
            elif isinstance(arg, Tensor):
                dtype, device = arg.dtype, arg.device
            elif not isinstance(arg, bool):  # PyTorch's non_blocking
                device = arg
        self._to(dtype, None if device is None else _C.device(device))
        if memory_format is not None:
            self._to_format(memory_format)
        return self

    def cpu(self):
        """to("cpu")."""
        return self.to("cpu")

    def cuda(self, device=None):
        """to("cuda"), or to a GPU by its number."""
        if device is None:
            return self.to("cuda")
        return self.to(f"cuda:{device}" if isinstance(device, int) else device)

    def float(self):
        """to(taut.float32)."""
        return self.to(_C.float32)

    def double(self):
        """to(taut.float64)."""
        return self.to(_C.float64)

    def half(self):
        """to(taut.float16)."""
        return self.to(_C.float16)

    def bfloat16(self):
        """to(taut.bfloat16)."""
        return self.to(_C.bfloat16)

    def apply(self, fn):
        """Calls fn with every module, inner before outer, this one last."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def state_dict(self, *, prefix="", keep_vars=False):
        """Parameters and persistent buffers by name. They share elements with the module's; `keep_vars` keeps them on the
        tape."""
        state = self._state_dict(prefix)
        if keep_vars:
            kept = dict(self._named_parameters(prefix, True, False))
            state.update((name, kept[name]) for name in state if name in kept)
        return OrderedDict(state)

    def load_state_dict(self, state_dict, strict=True):
        """Copies tensors into this module's. All names and shapes are checked first: after an error nothing has changed.

        Returns (missing_keys, unexpected_keys). Raises ValueError that lists missing and unexpected names (strict) and shapes
        that differ."""
        return IncompatibleKeys(*self._load_state_dict(dict(state_dict), strict))

    def __reduce_ex__(self, protocol):
        return reduce_module(self, protocol)

    def __setstate__(self, state):
        set_module_state(self, state)

    @property
    def training(self):
        """Whether the module is in training mode."""
        return self._training

    @training.setter
    def training(self, mode):
        Module._train(self, bool(mode))


def _modules_beside(memo, module, name, remove_duplicate):
    if module in memo:
        return
    if remove_duplicate:
        memo.add(module)
    yield name, module
    for child_name, child in module.named_children():
        yield from _modules_beside(memo, child, f"{name}.{child_name}" if name else child_name, remove_duplicate)


def _note_absent(module, name, kind, tensor):
    # C++ keeps the place of a part that is None without showing it; a copy of the module needs to know of it.
    absent = module.__dict__.get("_absent", {})
    if tensor is None:
        absent[name] = kind
        module.__dict__["_absent"] = absent
    else:
        absent.pop(name, None)


def _complete(cls, methods):
    for name, method in vars(methods).items():
        if isinstance(method, (FunctionType, property)):
            if isinstance(method, FunctionType):
                method.__qualname__ = f"{cls.__name__}.{name}"
            setattr(cls, name, method)


class _ListMethods:
    def __getitem__(self, index):
        if isinstance(index, slice):
            part = list(self)[index]
            return type(self)(*part) if isinstance(self, _nn.Sequential) else type(self)(part)
        return self._at(index)

    def __setitem__(self, index, module):
        if isinstance(self, _nn.ParameterList):
            self.register_parameter(str(range(len(self))[index]), module)
        else:
            self.add_module(list(dict(self._named_children()))[index], module)

    def __iter__(self):
        return (self._at(i) for i in range(len(self)))

    def __iadd__(self, modules):
        for module in modules:
            self.append(module)
        return self


class _DictMethods:
    def __iter__(self):
        return iter(self.keys())

    def values(self):
        """The modules, in the order in which they came."""
        return [child for _, child in self._named_children()]

    def items(self):
        """Pairs of name and module."""
        return self._named_children()

    def update(self, modules):
        """Adds the modules of a dict, or of pairs of name and module."""
        for name, module in dict(modules).items():
            self[name] = module

    def pop(self, key):
        """Takes a module away and returns it. Raises KeyError for a name that is not there."""
        module = self[key]
        del self[key]
        return module


_complete(Module, _ModuleMethods)
for _container in (_nn.Sequential, _nn.ModuleList, _nn.ParameterList):
    _complete(_container, _ListMethods)
_complete(_nn.ModuleDict, _DictMethods)
