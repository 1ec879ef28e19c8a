"""Optimizers, and schedules of their learning rates."""

from .._C import _optim
from . import lr_scheduler

_OPTIMIZERS = [name for name in vars(_optim) if not name.startswith("_")]
_DOCS = {
    "Optimizer": """The base of optimizers: groups of parameters with their options, a state for each parameter, and the step.

    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

A subclass calls super().__init__(params, defaults), with a dict of options, and defines step(); what it keeps for a parameter is
self.state[parameter], a dict.

`params` is a list of tensors, of (name, tensor) pairs, or of dicts with "params" and options of their own. Raises ValueError for
no parameters, a tensor that is no leaf or stands twice, and an option that is unknown.

master_weights=True keeps 16-bit parameters in float32 beside them. SGD, Adam and AdamW take state_dtype: taut.bfloat16, or taut.int8 for
8 bits in blocks of 256 with a scale each, but for parameters below 4096 numbers.""",
    "SGD": "Gradient descent, with momentum (Nesterov's on request) and weight decay.",
    "Adam": "Adaptive moments. Kingma and Ba, 2014; amsgrad: Reddi, Kale and Kumar, 2018.",
    "AdamW": "Adam whose weight decay acts on the parameters, not through the gradients. Loshchilov and Hutter, 2017.",
    "RMSprop": "Gradients over the root of their running mean square, centered on request. Hinton, 2012.",
    "Adagrad": "Gradients over the root of the sum of their squares. Duchi, Hazan and Singer, 2011.",
    "ParamGroup": "Parameters that share options; read and written as a dict.",
}
for _name in _OPTIMIZERS:
    _optimizer = getattr(_optim, _name)
    _optimizer.__module__ = __name__
    _optimizer.__doc__ = _DOCS[_name]
    globals()[_name] = _optimizer
__all__ = sorted(["lr_scheduler", *(name for name in _OPTIMIZERS if name != "ParamGroup")])
