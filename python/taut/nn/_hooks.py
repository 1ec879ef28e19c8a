"""Hooks of modules: functions that see, and may replace, what goes through a module.

They run in Python when Python calls the module, with any arguments; a bridge runs the same ones when C++ calls it, as
nn.Sequential does with its children.
"""

from .._C import Tensor
from ..autograd.function import Function


class RemovableHandle:
    """Takes a hook away again."""

    def __init__(self, hooks, entry):
        self._hooks, self._entry = hooks, entry

    def remove(self):
        """Takes the hook away; a second time does nothing."""
        if self._entry in self._hooks:
            self._hooks.remove(self._entry)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class _Hook:
    """A hook and how it wants to be called."""

    def __init__(self, function, with_kwargs=False, always_call=False):
        self.function, self.with_kwargs, self.always_call = function, with_kwargs, always_call


class ModuleHooks:
    """All hooks of one module."""

    def __init__(self):
        self.before, self.after, self.backward_before, self.backward = [], [], [], []

    def add(self, hooks, prepend, *args, **kwargs):
        entry = _Hook(*args, **kwargs)
        hooks.insert(0 if prepend else len(hooks), entry)
        return RemovableHandle(hooks, entry)

def hooks_of(module):
    """The hooks of a module, made at first need."""
    hooks = module.__dict__.get("_hooks")
    if hooks is None:
        hooks = ModuleHooks()
        object.__setattr__(module, "_hooks", hooks)
        bridge(module)
    return hooks


def bridge(module):
    """Lets calls from C++ run the hooks of Python."""
    module._wrap_forward(call_with_hooks)


def call_with_hooks(module, forward, args, kwargs):
    """Hooks, forward, hooks."""
    hooks = module.__dict__["_hooks"]
    output, done = None, []
    try:
        args, kwargs, walk = _run_before(module, hooks, args, kwargs)
        output = forward(*args, **kwargs)
        for hook in tuple(hooks.after):
            done.append(hook)
            output = _after(hook, module, args, kwargs, output)
        return output if walk is None else walk.watch_outputs(output)
    except BaseException:
        for hook in tuple(hooks.after):
            if hook.always_call and hook not in done:
                _after(hook, module, args, kwargs, output)
        raise


def _run_before(module, hooks, args, kwargs):
    for hook in tuple(hooks.before):
        if hook.with_kwargs:
            result = hook.function(module, args, kwargs)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise TypeError(f"a forward pre-hook with kwargs must return None or (args, kwargs); got {result!r}")
                args, kwargs = result
        else:
            result = hook.function(module, args)
            if result is not None:
                args = result if isinstance(result, tuple) else (result,)
    if not (hooks.backward or hooks.backward_before):
        return args, kwargs, None
    walk = _Walk(module, hooks)
    return walk.watch_inputs(args), kwargs, walk


def _after(hook, module, args, kwargs, output):
    result = hook.function(module, args, kwargs, output) if hook.with_kwargs else hook.function(module, args, output)
    return output if result is None else result


# Backward -------------------------------------------------------------------------------------------------------------------


class _Walk:
    """One call of a module with backward hooks: the gradients of its outputs wait here for those of its inputs."""

    def __init__(self, module, hooks):
        self.module, self.hooks = module, hooks
        self.inputs = self.outputs = None
        self.grad_outputs = ()

    def watch_inputs(self, args):
        self.inputs = _Places(args)
        return self.inputs.passed_through(_InputGrads, self, args)

    def watch_outputs(self, output):
        if isinstance(output, Tensor):
            self.outputs = _Places((output,))
            return self.outputs.passed_through(_OutputGrads, self, (output,))[0]
        if not isinstance(output, (tuple, list)):
            raise TypeError(f"backward hooks are for modules that return tensors; got a {type(output).__name__}")
        self.outputs = _Places(output)
        return type(output)(self.outputs.passed_through(_OutputGrads, self, output))

    def outputs_arrived(self, grads):
        self.grad_outputs = self.outputs.spread(grads)
        for hook in tuple(self.hooks.backward_before):
            result = hook.function(self.module, self.grad_outputs)
            self.grad_outputs = self.grad_outputs if result is None else _as_tuple(result)
        if not self.inputs.places:
            self.inputs_arrived(())
        return self.outputs.picked(self.grad_outputs)

    def inputs_arrived(self, grads):
        grads = self.inputs.spread(grads)
        for hook in tuple(self.hooks.backward):
            result = hook.function(self.module, grads, self.grad_outputs)
            grads = grads if result is None else _as_tuple(result)
        return self.inputs.picked(grads)


class _Places:
    """Which items of a list are tensors that require grad."""

    def __init__(self, items):
        self.count = len(items)
        self.places = [i for i, item in enumerate(items) if isinstance(item, Tensor) and item.requires_grad]

    def passed_through(self, function, walk, items):
        """The items, those tensors among them seen by an op whose backward tells the walk."""
        result = list(items)
        if self.places:
            for place, tensor in zip(self.places, _as_tuple(function.apply(walk, *(items[i] for i in self.places)))):
                result[place] = tensor
        return tuple(result)

    def spread(self, grads):
        """A gradient for each item, None for those without."""
        result = [None] * self.count
        for place, grad in zip(self.places, grads):
            result[place] = grad
        return tuple(result)

    def picked(self, grads):
        if len(grads) != self.count:
            raise RuntimeError(f"a backward hook must return a gradient for each of {self.count} tensors; got {len(grads)}")
        return tuple(grads[place] for place in self.places)


def _as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def _watch(ctx, walk, *tensors):
    ctx.walk = walk
    return tuple(tensor.view_as(tensor) for tensor in tensors)


class _InputGrads(Function):
    forward = staticmethod(_watch)

    @staticmethod
    def backward(ctx, *grads):
        return None, *ctx.walk.inputs_arrived(grads)


class _OutputGrads(Function):
    forward = staticmethod(_watch)

    @staticmethod
    def backward(ctx, *grads):
        return None, *ctx.walk.outputs_arrived(grads)
