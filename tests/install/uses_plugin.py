"""Loads the plugin that is given and differentiates its op."""

import sys

import taut

assert taut.load_library(sys.argv[1]) == ("outside::square",)
x = taut.tensor([3.0], dtype=taut.float64, requires_grad=True)
y = taut.ops.outside.square(x)
y.backward()
assert y.item() == 9 and x.grad.item() == 6
assert taut.autograd.gradgradcheck(taut.ops.outside.square, (x,))
print("in Python, too")
