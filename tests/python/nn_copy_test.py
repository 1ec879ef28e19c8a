"""copy.copy, copy.deepcopy and pickle of modules, parameters and tensors."""

import copy
import pickle

import pytest

import taut
from taut import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.5)
        self.scale = nn.Parameter(taut.ones(1, dtype=taut.float64), requires_grad=False)
        self.register_buffer("steps", taut.zeros(1), persistent=False)
        self.register_parameter("shift", None)
        self.width = width
        self.notes = ["a", {"b": taut.ones(1)}]

    def forward(self, x):
        return self.drop(self.norm(self.conv(x))) * self.scale.float()


class Plus(nn.Linear):
    def forward(self, x):
        return super().forward(x) + 1


def model():
    net = nn.Sequential(Block(2), nn.Flatten(), Plus(32, 5), nn.LeakyReLU(0.3), nn.ModuleDict({"unused": nn.PReLU(init=0.1)})["unused"])
    net[0].norm.eval()
    net(taut.randn(3, 2, 4, 4)).sum().backward()
    return net


def through_pickle(item):
    return pickle.loads(pickle.dumps(item))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, through_pickle])
def test_modules(duplicate, no_leak):
    net = model()
    random_state = taut.get_rng_state()
    twin = duplicate(net)
    assert taut.equal(taut.get_rng_state(), random_state)
    assert repr(twin) == repr(net) and type(twin[0]) is Block and type(twin[2]) is Plus
    assert [(n, p.dtype, p.requires_grad, type(p)) for n, p in twin.named_parameters()] == [
        (n, p.dtype, p.requires_grad, type(p)) for n, p in net.named_parameters()
    ]
    assert list(twin.state_dict()) == list(net.state_dict()) and "0.steps" not in twin.state_dict()
    assert [n for n, _ in twin.named_buffers()] == [n for n, _ in net.named_buffers()]
    block = twin[0]
    assert block.width == 2 and block.shift is None and block.notes[0] == "a" and block.notes is not net[0].notes
    assert block.training and not block.norm.training and block.drop.training
    x = taut.randn(3, 2, 4, 4)
    net.eval(), twin.eval()
    assert taut.equal(net(x), twin(x))
    with taut.no_grad():
        twin[2].weight.zero_()
    assert not taut.equal(net(x), twin(x)) and net[2].weight.abs().sum() > 0
    optimizer = taut.optim.SGD(twin.parameters(), lr=0.1)
    twin(x).sum().backward()
    optimizer.step()
    del net, twin, block, optimizer


def test_deepcopy_keeps_what_is_shared():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = nn.Linear(3, 3, bias=False)
            self.out = nn.Linear(3, 3, bias=False)
            self.out.weight = self.inside.weight
            self.again = self.inside

    twin = copy.deepcopy(Tied())
    assert twin.out.weight is twin.inside.weight and twin.again is twin.inside and len(list(twin.parameters())) == 1


def test_grads_modes_and_casts_are_copied():
    layer = nn.Linear(2, 2).double()
    layer(taut.ones(1, 2, dtype=taut.float64)).sum().backward()
    twin = copy.deepcopy(layer)
    assert twin.weight.dtype is taut.float64 and taut.equal(twin.weight.grad, layer.weight.grad)
    assert twin.weight.grad is not layer.weight.grad
    shallow = copy.copy(layer)
    assert shallow.weight is layer.weight and shallow is not layer
    shallow.weight = None
    assert layer.weight is not None


def test_replaced_parts_are_copied():
    layer = nn.Linear(4, 2)
    layer.weight = nn.Parameter(taut.ones(2, 3))
    layer.bias = None
    twin = copy.deepcopy(layer)
    assert twin.bias is None and twin(taut.ones(1, 3)).tolist() == [[3, 3]]
    del layer.bias
    assert "bias" not in dir(copy.deepcopy(layer))
    lists = copy.deepcopy(nn.ModuleList([nn.ParameterList([taut.ones(2)]), nn.ModuleDict({"a": nn.ReLU()})]))
    assert isinstance(lists[0][0], nn.Parameter) and isinstance(lists[1]["a"], nn.ReLU)


def test_losses_with_weights_are_copied():
    loss = through_pickle(nn.CrossEntropyLoss(weight=taut.tensor([1.0, 3.0]), label_smoothing=0.1))
    assert "weight" in dict(loss.named_buffers())
    logits, target = taut.randn(4, 2), taut.tensor([0, 1, 1, 0])
    same = nn.CrossEntropyLoss(weight=taut.tensor([1.0, 3.0]), label_smoothing=0.1)
    assert taut.equal(loss(logits, target), same(logits, target))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, through_pickle])
def test_every_layer_can_be_copied(duplicate):
    arguments = {
        "Bilinear": (2, 3, 4), "Linear": (2, 3), "Embedding": (5, 3), "Unflatten": (1, (2, 3)), "GroupNorm": (2, 4), "Threshold": (0.1, 2.0),
        "LayerNorm": ((2, 3),), "RMSNorm": (4,), "Softmax": (1,), "LogSoftmax": (1,), "Softmin": (1,), "MultiheadAttention": (8, 2), "TransformerEncoderLayer": (8, 2, 12), "TransformerDecoderLayer": (8, 2, 12),
        "TransformerEncoder": (nn.TransformerEncoderLayer(8, 2, 12), 2), "TransformerDecoder": (nn.TransformerDecoderLayer(8, 2, 12), 2),
        "Transformer": (8, 2, 1, 1, 12),
    }
    for name in nn.__all__:
        kind = getattr(nn, name)
        if not isinstance(kind, type) or not issubclass(kind, nn.Module):
            continue
        if name.startswith("Conv"):
            layer = kind(2, 4, 3, padding=1, groups=2)
        elif "Pool" in name or "Norm" in name and name[-1] == "d":
            layer = kind(3)
        else:
            layer = kind(*arguments.get(name, ()))
        layer.eval()
        twin = duplicate(layer)
        assert type(twin) is kind and repr(twin) == repr(layer) and not twin.training
        state, other = layer.state_dict(), twin.state_dict()
        assert list(state) == list(other) and all(taut.equal(state[key], other[key]) for key in state)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, through_pickle])
def test_tensors_and_parameters(duplicate):
    for tensor in (taut.arange(6).reshape(2, 3).t(), taut.ones(2, dtype=taut.bfloat16), taut.tensor(3.5), taut.zeros(0, 2)):
        twin = duplicate(tensor)
        assert taut.equal(twin, tensor) and twin.dtype is tensor.dtype and twin.shape == tensor.shape
        assert twin.numel() == 0 or twin.data_ptr() != tensor.data_ptr()
    parameter = nn.Parameter(taut.ones(2))
    parameter.tag = "mine"
    twin = duplicate(parameter)
    assert type(twin) is nn.Parameter and twin.requires_grad and twin.is_leaf and twin.tag == "mine"
    assert not duplicate(nn.Parameter(taut.ones(2), requires_grad=False)).requires_grad
    with pytest.raises(RuntimeError, match="leaf"):
        duplicate(parameter * 2)


def test_state_dict_may_stay_on_the_tape():
    layer = nn.Linear(2, 2)
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    assert not layer.state_dict()["weight"].requires_grad and layer.state_dict()["weight"].data_ptr() == layer.weight.data_ptr()
