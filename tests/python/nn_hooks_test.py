"""Hooks of modules, called from Python and from C++."""

import copy

import pytest

import taut
from taut import nn


class Scale(nn.Module):
    def forward(self, x, factor=2.0, *, note=None):
        self.note = note
        return x * factor


def test_hooks_see_and_replace():
    layer, seen = nn.Linear(2, 2, bias=False), []
    with taut.no_grad():
        layer.weight.copy_(taut.eye(2))
    x = taut.ones(1, 2)
    for call in (layer, nn.Sequential(layer)):  # from Python, and from C++
        before = layer.register_forward_pre_hook(lambda module, args: (args[0] * 3,))
        after = layer.register_forward_hook(lambda module, args, output: seen.append((module, args[0].tolist())) or output + 1)
        assert call(x).tolist() == [[4, 4]]
        before.remove()
        after.remove()
        after.remove()
        assert call(x).tolist() == [[1, 1]]
    assert seen == [(layer, [[3, 3]])] * 2


def test_any_arguments_reach_a_forward_of_python():
    layer, seen = Scale(), []
    layer.register_forward_hook(lambda module, args, output: seen.append(args))
    assert layer(taut.ones(1), 3, note="x").tolist() == [3] and layer.note == "x"
    assert len(seen[0]) == 2 and seen[0][1] == 3

    def double_factor(module, args, kwargs):
        return args, {**kwargs, "factor": 2 * kwargs["factor"]}

    handle = layer.register_forward_pre_hook(double_factor, with_kwargs=True)
    layer.register_forward_hook(lambda module, args, kwargs, output: seen.append(kwargs), with_kwargs=True)
    assert layer(taut.ones(1), factor=5).tolist() == [10] and seen[-1] == {"factor": 10}
    with handle:
        pass
    assert layer(taut.ones(1), factor=5).tolist() == [5]
    layer.register_forward_pre_hook(lambda module, args, kwargs: args, with_kwargs=True)
    with pytest.raises(TypeError, match=r"None or \(args, kwargs\)"):
        layer(taut.ones(1))


def test_order_and_failure():
    layer, seen = Scale(), []
    layer.register_forward_hook(lambda *_: seen.append("second"))
    layer.register_forward_hook(lambda *_: seen.append("first"), prepend=True)
    layer(taut.ones(1))
    assert seen == ["first", "second"]
    layer.register_forward_hook(lambda module, args, output: seen.append(output), always_call=True)
    with pytest.raises(TypeError):
        layer("not a tensor", None)
    assert seen == ["first", "second", None]
    with pytest.raises(TypeError, match="no named arguments; got x"):
        nn.ReLU()(x=taut.ones(1))


@pytest.mark.parametrize("outer", [lambda layer: layer, nn.Sequential])
def test_backward_hooks(outer):
    layer, seen = nn.Linear(2, 1, bias=False), []
    with taut.no_grad():
        layer.weight.copy_(taut.tensor([[2.0, 3.0]]))
    x = taut.ones(1, 2, requires_grad=True)

    def look(module, grad_input, grad_output):
        seen.append((grad_input[0].tolist(), grad_output[0].tolist()))
        return (grad_input[0] * 10,)

    handle = layer.register_full_backward_hook(look)
    outer(layer)(x).sum().backward()
    assert seen == [([[2, 3]], [[1]])] and x.grad.tolist() == [[20, 30]]
    pre = layer.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 2,))
    x.grad = None
    outer(layer)(x).sum().backward()
    assert seen[1] == ([[4, 6]], [[2]]) and layer.weight.grad.tolist() == [[3, 3]]
    handle.remove()
    pre.remove()
    x.grad = None
    outer(layer)(x).sum().backward()
    assert x.grad.tolist() == [[2, 3]] and len(seen) == 2


def test_backward_hooks_without_input_gradients_and_with_many_outputs():
    class Two(nn.Module):
        def forward(self, x, note, y):
            return x * y, "text", y + 1

    seen = []
    net = Two()
    net.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append((grad_input, grad_output)))
    x, y = taut.ones(2), taut.full((2,), 3.0, requires_grad=True)
    product, text, more = net(x, "note", y)
    (product + more).sum().backward()
    (grad_input, grad_output) = seen[0]
    assert grad_input[0] is None and grad_input[1] is None and grad_input[2].tolist() == [2, 2]
    assert text == "text" and grad_output[1] is None and grad_output[2].tolist() == [1, 1]
    layer = nn.Linear(2, 1)
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append(grad_input))
    layer(x).sum().backward()
    assert seen[-1] == (None,)
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: ())
    with pytest.raises(RuntimeError, match="a gradient for each of 1"):
        layer(taut.ones(2, requires_grad=True)).sum().backward()


def test_hooks_are_copied_with_their_module():
    layer, seen = Scale(), []
    layer.register_forward_hook(count(seen))
    twin = copy.deepcopy(layer)
    nn.Sequential(twin)(taut.ones(1))
    twin(taut.ones(1))
    layer(taut.ones(1))
    assert len(seen) == 3


def count(seen):
    return lambda module, args, output: seen.append(1)


@pytest.mark.parametrize("outer", [lambda layer: layer, nn.Sequential])
def test_a_call_that_failed_leaves_nothing_behind(outer):
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append("backward"))
    layer.register_forward_hook(lambda module, args, output: seen.append(output is None), always_call=True)
    net = outer(layer)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="linear"):
            net(taut.ones(1, 3, requires_grad=True))
    assert seen == [True, True]
    net(taut.ones(1, 2, requires_grad=True)).sum().backward()
    assert seen == [True, True, False, "backward"]
    # A hook that comes later finds no walk of a call that went before it.
    late = nn.Linear(2, 1)
    with pytest.raises(RuntimeError):
        outer(late)(taut.ones(1, 3))
    late.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append("late"))
    outer(late)(taut.ones(1, 2, requires_grad=True)).sum().backward()
    assert seen[4:] == ["late"]
