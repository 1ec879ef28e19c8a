"""copy.deepcopy and pickle of modules.

A copy of a layer of C++ is made by its constructor, with the arguments that made the original; then it gets the original's
parts and attributes. So nothing but data is written, and a file of pickled modules holds what a state dict holds.
"""

from functools import wraps

from .. import _C
from .._C import _nn
from ._hooks import bridge

_CONTAINERS = (_nn.Module, _nn.Sequential, _nn.ModuleList, _nn.ModuleDict, _nn.ParameterList)
# Entries of __dict__ that the copy makes anew.
_OWN = ("_made_by",)


def remember_arguments(layer):
    """Lets the constructor of a C++ layer note what it was given."""
    if layer in _CONTAINERS:  # their parts are all there is to them
        return
    construct = layer.__init__
    shell = getattr(layer, "_shell", None)

    @wraps(construct)
    def __init__(self, *args, **kwargs):
        construct(self, *args, **kwargs)
        # One that is given modules is made again without: a copy gets copies of all parts.
        self.__dict__["_made_by"] = (args, kwargs) if shell is None else (shell, {})

    layer.__init__ = __init__


def reduce_module(self, protocol):
    """How copy and pickle take a module apart."""
    base = next(kind for kind in type(self).__mro__ if kind.__dict__.get("_is_native"))
    args, kwargs = self.__dict__.get("_made_by", ((), {}))
    if base not in _CONTAINERS and "_made_by" not in self.__dict__:
        raise TypeError(f"a {type(self).__name__} that was made in C++ cannot be copied; use its state_dict")
    persistent = self._state_dict("")
    state = {
        "training": self.training,
        "fields": {name: getattr(self, name) for name in getattr(base, "_fields", ())},
        "attributes": {name: item for name, item in self.__dict__.items() if name not in _OWN},
        "parameters": self._named_parameters("", False),
        "buffers": [(name, buffer, name in persistent) for name, buffer in self._named_buffers("", False)],
        "children": self._named_children(),
    }
    return _rebuild, (type(self), base, args, kwargs), state


def _rebuild(kind, base, args, kwargs):
    module = kind.__new__(kind)
    # The constructor draws parameters that are replaced at once: random numbers go on as if it had not.
    random_state = _C.default_generator.get_state()
    try:
        base.__init__(module, *args, **kwargs)
    finally:
        _C.default_generator.set_state(random_state)
    return module


def set_module_state(self, state):
    """Gives a new module the parts of another one."""
    self.__dict__.update(state["attributes"])
    _nn.Module._train(self, state["training"])  # before there are children, which bring their own modes
    for name, value in state["fields"].items():
        object.__setattr__(self, name, value)
    made = [name for name, _ in self._named_parameters("", False) + self._named_buffers("", False)]
    kept = {name for name, *_ in state["parameters"] + state["buffers"]}
    for name in made:
        if name not in kept:  # the original lost it after its constructor
            self._unregister(name)
    for name, parameter in state["parameters"]:
        self.register_parameter(name, parameter)
    for name, buffer, persistent in state["buffers"]:
        self.register_buffer(name, buffer, persistent)
    for name, child in state["children"]:
        self.__dict__.pop(name, None)  # the None of a module that the constructor did not get
        self.add_module(name, child)
    for name, kind in self.__dict__.get("_absent", {}).items():
        getattr(self, f"register_{kind}")(name, None)
    if "_hooks" in self.__dict__:
        bridge(self)
