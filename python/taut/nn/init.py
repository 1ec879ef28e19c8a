"""Filling parameters before training, in place and off the tape; each function returns its argument.

    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

fan_in and fan_out are the numbers of inputs and outputs of one unit: sizes 1 and 0 of the tensor, each times the sizes that
follow.
"""

from .._C import _init

globals().update({name: op for name, op in vars(_init).items() if not name.startswith("__")})
__all__ = sorted(name for name in vars(_init) if not name.startswith("_"))
