"""Objects that refer to themselves through their attributes go when nobody else has them."""

import gc
import weakref

import pytest

import taut
from taut import nn, optim


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x)


class Wider(nn.Linear):
    pass


def is_collected(make, tie):
    thing = make()
    tie(thing)
    seen = weakref.ref(thing)
    del thing
    gc.collect()
    return seen() is None


def keep_method(thing):
    thing.kept = thing.__repr__


def keep_list(thing):
    thing.kept = [thing]


def keep_function(thing):
    thing.kept = lambda: thing


@pytest.mark.parametrize("tie", [keep_method, keep_list, keep_function])
@pytest.mark.parametrize("make", [Net, nn.Module, lambda: nn.Linear(2, 2), lambda: Wider(2, 2), lambda: nn.Sequential(nn.ReLU())])
def test_modules_are_collected(make, tie):
    assert is_collected(make, tie)


def test_hooks_that_know_their_module_do_not_keep_it():
    assert is_collected(Net, lambda net: net.register_forward_hook(lambda module, inputs, output: net and None))
    assert is_collected(Net, lambda net: net.register_full_backward_hook(lambda module, *grads: net and None))


@pytest.mark.parametrize("tie", [keep_method, keep_list])
def test_optimizers_and_schedules_are_collected(tie):
    def optimizer():
        return optim.SGD([taut.ones(2, requires_grad=True)], lr=0.1)

    assert is_collected(optimizer, tie)
    assert is_collected(lambda: optim.lr_scheduler.StepLR(optimizer(), 3), tie)
    assert is_collected(lambda: taut.amp.GradScaler(enabled=False), tie)


def test_what_is_in_use_stays():
    net = Net()
    net.kept = [net]
    child = net.layer
    gc.collect()
    assert net.kept[0] is net and net(taut.ones(1, 2)).shape == (1, 2)
    del net
    gc.collect()
    assert child(taut.ones(1, 2)).shape == (1, 2)
