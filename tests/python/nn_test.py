"""Modules and optimizers from Python."""

import copy
import gc

import pytest

import taut
from taut import nn


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.hidden = nn.Linear(4, width)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 2)
        self.scale = nn.Parameter(taut.ones(1))
        self.register_buffer("count", taut.zeros(1))
        self.width = width

    def forward(self, x, twice=False):
        y = self.out(taut.relu(self.norm(self.hidden(x)))) * self.scale
        return y * 2 if twice else y


def test_attributes_register_themselves():
    net = Net()
    names = [name for name, _ in net.named_parameters()]
    assert names == ["scale", "hidden.weight", "hidden.bias", "norm.weight", "norm.bias", "out.weight", "out.bias"]
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in net.parameters())
    assert [name for name, _ in net.named_buffers()] == ["count"]
    assert [name for name, _ in net.named_children()] == ["hidden", "norm", "out"]
    assert net.hidden is net.hidden and net.hidden.weight is net.hidden.weight and net.width == 8
    assert set(net.state_dict()) == {*names, "count"}
    with pytest.raises(AttributeError):
        net.nothing
    with pytest.raises(TypeError):
        net.scale = 3
    del net.scale
    assert "scale" not in dict(net.named_parameters())
    assert "hidden" in dir(net)


def test_calls_and_training():
    net = Net()
    x = taut.randn(5, 4)
    assert net(x).shape == (5, 2)
    assert taut.allclose(net(x, twice=True), 2 * net(x))
    target = taut.randint(0, 2, (5,))
    optimizer = taut.optim.AdamW(net.parameters(), lr=0.05)
    criterion = nn.CrossEntropyLoss()
    first = None
    for _ in range(40):
        loss = criterion(net(x), target)
        first = loss.item() if first is None else first
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < first / 4


def test_python_modules_inside_cpp_ones(no_leak):
    class Double(nn.Module):
        def forward(self, x):
            return x * 2

    model = nn.Sequential(nn.Identity(), Double(), nn.ReLU())
    assert model(taut.tensor([-1.0, 2.0])).tolist() == [0, 4]
    assert type(model[1]).__name__ == "Double" and len(model) == 3
    assert "Double()" in repr(model)
    gc.collect()
    assert model(taut.ones(1)).tolist() == [2]
    del model


def test_layers_may_be_subclassed():
    class Plus(nn.Linear):
        def forward(self, x):
            return super().forward(x) + 1

    layer = Plus(2, 2, bias=False)
    x = taut.ones(1, 2)
    assert taut.allclose(layer(x), x @ layer.weight.T + 1)
    assert nn.Sequential(layer)(x).shape == (1, 2)


def test_modes_and_casts():
    net = Net()
    assert net.training and net.eval() is net and not net.hidden.training
    net.train()
    assert net.hidden.training
    assert net.double() is net and net.hidden.weight.dtype is taut.float64
    net.to(taut.float32).requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    seen = []
    net.apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "LayerNorm", "Linear", "Net"]


def test_train_may_be_overridden():
    class Frozen(nn.Module):
        def train(self, mode=True):
            return super().train(False)

    outer = nn.Sequential(Frozen(), nn.ReLU())
    outer.train()
    assert outer.training and not outer[0].training and outer[1].training


def test_state_dict_round_trip():
    a, b = Net(), Net()
    report = b.load_state_dict(a.state_dict())
    assert report.missing_keys == [] and report.unexpected_keys == []
    x = taut.randn(2, 4)
    assert taut.equal(a(x), b(x))
    state = a.state_dict()
    state.pop("scale")
    with pytest.raises(RuntimeError, match="scale"):
        b.load_state_dict(state)
    assert b.load_state_dict(state, strict=False).missing_keys == ["scale"]


def test_hooks():
    net = nn.Sequential(nn.Linear(2, 2))
    seen = []
    pre = net.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs)))
    post = net[0].register_forward_hook(lambda module, inputs, output: output * 0)
    assert net(taut.ones(1, 2)).tolist() == [[0, 0]] and seen == [1]
    pre.remove()
    post.remove()
    net(taut.ones(1, 2))
    assert seen == [1]


def test_containers():
    layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    layers.append(nn.ReLU())
    assert len(layers) == 4 and isinstance(layers[-1], nn.ReLU) and len(list(layers.parameters())) == 6
    table = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Tanh()})
    assert list(table) == ["a", "b"] and "a" in table and isinstance(table["b"], nn.Tanh)
    with pytest.raises(KeyError):
        table["c"]


def test_repr():
    assert repr(nn.Linear(2, 3)) == "Linear(in_features=2, out_features=3, bias=True)"
    assert repr(nn.Conv2d(1, 2, 3, padding=1)).startswith("Conv2d(1, 2, kernel_size=(3, 3)")
    assert repr(nn.Parameter(taut.ones(1))).startswith("Parameter containing:\ntensor([1.], requires_grad=True)")


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_optimizers(name):
    x = taut.ones(3, requires_grad=True)
    optimizer = getattr(taut.optim, name)([{"params": [x], "lr": 0.1}], lr=0.01)
    assert optimizer.param_groups[0]["lr"] == 0.1 and optimizer.param_groups[0]["params"][0] is x
    for _ in range(3):
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()
    assert (x < 1).all()
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = x.tolist()
    optimizer.step(lambda: (x * x).sum())
    assert x.tolist() == before or name == "AdamW"
    other = getattr(taut.optim, name)([taut.ones(3, requires_grad=True)])
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["lr"] == 0.0
    with pytest.raises(ValueError):
        getattr(taut.optim, name)([])


def test_conv_net():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3))
    out = net(taut.randn(2, 1, 4, 4))
    out.sum().backward()
    assert out.shape == (2, 3) and all(p.grad is not None for p in net.parameters())


def test_channels_last_is_for_images():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(3, 4))
    weight = net[0].weight
    net(taut.randn(2, 3, 5, 5)).sum().backward()
    grad = weight.grad.clone()
    assert net.to(memory_format=taut.channels_last) is net and net[0].weight is weight and weight.requires_grad
    assert weight.stride() == weight.grad.stride() == (27, 1, 9, 3) and weight.grad.equal(grad)
    assert net[2].weight.stride() == (3, 1) and net(taut.randn(2, 3, 5, 5)).shape == (2, 4, 3, 4)
    assert net.to("cpu", memory_format=taut.contiguous_format)[0].weight.stride() == (27, 9, 3, 1)
    with pytest.raises(TypeError, match="memory format"):
        net.to(memory_format=3)


@pytest.mark.parametrize("name, options", [("SGD", {"momentum": 0.9}), ("AdamW", {}), ("AdamW", {"state_dtype": "int8"})])
def test_optimizers_step_channels_last(name, options):
    def trained(memory_format):
        taut.manual_seed(3)
        net = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3)).to(memory_format=memory_format)
        optimizer, x = getattr(taut.optim, name)(net.parameters(), lr=0.01, **options), taut.randn(2, 3, 8, 8)
        for _ in range(3):
            optimizer.zero_grad()
            net(x).pow(2).mean().backward()
            optimizer.step()
        return net, optimizer

    (plain, plain_optimizer), (last, last_optimizer) = trained(taut.contiguous_format), trained(taut.channels_last)
    assert last[0].weight.stride() == (27, 1, 9, 3)
    for a, b in zip(plain.parameters(), last.parameters()):
        assert taut.allclose(a, b, rtol=1e-4, atol=1e-5)
    # What is remembered of a weight is remembered of the same elements.
    last_optimizer.load_state_dict(plain_optimizer.state_dict())
    for net, optimizer in ((plain, plain_optimizer), (last, last_optimizer)):
        for parameter in net.parameters():
            parameter.grad = taut.ones(parameter.shape)
        optimizer.step()
    for a, b in zip(plain.parameters(), last.parameters()):
        assert taut.allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d, nn.Conv3d, nn.ConvTranspose3d])
def test_convolutions_keep_channels_last(layer, groups):
    three = layer in (nn.Conv3d, nn.ConvTranspose3d)
    last = taut.channels_last_3d if three else taut.channels_last
    plain = layer(6, 6, 3, stride=2, padding=1, groups=groups)
    x = taut.randn(2, 6, 5, 7, 4) if three else taut.randn(2, 6, 5, 7)
    results = []
    # None; both; the input alone, which the weight follows; the weight alone, which the input follows.
    for last_input, last_weight in ((False, False), (True, True), (True, False), (False, True)):
        net, images = copy.deepcopy(plain), x.clone(memory_format=last if last_input else taut.contiguous_format)
        if last_weight:
            net.weight = nn.Parameter(net.weight.detach().contiguous(memory_format=last))
        images.requires_grad_()
        y = net(images)
        # The weight of a depthwise convolution has one channel, and lies the same way in both orders.
        is_last = last_input or (last_weight and groups < 6)
        assert y.is_contiguous(memory_format=last) == is_last
        (first,) = taut.autograd.grad(y.sin().sum(), images, create_graph=True)
        assert first.is_contiguous(memory_format=last) == is_last
        (first.square().sum() + y.square().sum()).backward()
        results.append([y, first, images.grad, net.weight.grad, net.bias.grad])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            assert taut.allclose(a, b, rtol=1e-4, atol=1e-4)


def test_a_network_stays_in_channels_last():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 1))
    net.to(memory_format=taut.channels_last)
    x = taut.randn(2, 3, 12, 12).to(memory_format=taut.channels_last)
    for module in net:
        x = module(x)
        assert x.is_contiguous(memory_format=taut.channels_last) and not x.is_contiguous()


def test_batch_norm_with_channels_last():
    # So many places that threads share them.
    x, grad = taut.randn(3, 5, 40, 41), taut.randn(3, 5, 40, 41)
    results = []
    for memory_format in (taut.contiguous_format, taut.channels_last):
        norm, images = nn.BatchNorm2d(5), x.clone(memory_format=memory_format).requires_grad_()
        y = norm(images)
        y.backward(grad)
        assert y.is_contiguous(memory_format=memory_format) and images.grad.is_contiguous(memory_format=memory_format)
        results.append([y, images.grad, norm.weight.grad, norm.bias.grad, norm.running_var])
    for plain, last in zip(*results):
        assert taut.allclose(plain, last, rtol=1e-4, atol=1e-4)


def test_batch_norm_and_relu_in_one_layer():
    fused, norm = nn.BatchNormReLU2d(4), nn.BatchNorm2d(4)
    norm.load_state_dict(fused.state_dict())
    for training in (True, False):
        fused.train(training)
        norm.train(training)
        x, residual = taut.randn(2, 4, 3, 3), taut.randn(2, 4, 3, 3)
        assert taut.allclose(fused(x), norm(x).relu()) and taut.allclose(fused(x, residual), (norm(x) + residual).relu())
    assert fused.num_batches_tracked.item() == norm.num_batches_tracked.item() == 2
    with pytest.raises(ValueError, match="got 3 tensors"):
        fused(x, x, x)
    with pytest.raises(taut.ShapeError, match=r"\(4,\)"):
        fused(x, taut.randn(4))


def test_layers_tell_what_they_were_made_with():
    conv = nn.Conv2d(1, 6, (3, 5), stride=2, padding="valid", groups=1)
    assert (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding) == (1, 6, (3, 5), (2, 2), "valid")
    assert nn.Conv1d(1, 2, 3, padding=1).padding == (1,) and nn.MaxPool2d(2).kernel_size == 2 and nn.MaxPool2d((2, 3)).stride == (2, 3)
    norm = nn.BatchNorm2d(4, momentum=None)
    assert norm.num_features == 4 and norm.momentum is None and norm.eps == 1e-5 and norm.running_mean.shape == (4,)
    assert nn.Embedding(5, 3, padding_idx=-1).padding_idx == 4 and nn.LayerNorm((2, 3)).normalized_shape == (2, 3)
    assert nn.KLDivLoss("batchmean").reduction == "batchmean" and nn.CrossEntropyLoss(reduction="sum").reduction == "sum"
    assert nn.AvgPool2d(2, divisor_override=3)(taut.ones(1, 1, 2, 2)).item() == pytest.approx(4 / 3)


def test_what_layers_were_made_with_can_be_changed():
    drop = nn.Dropout(0.5)
    drop.p = 1.0
    assert drop(taut.ones(4)).sum() == 0 and repr(drop) == "Dropout(p=1.0, inplace=False)"
    assert copy.deepcopy(drop).p == 1.0
    conv = nn.Conv1d(1, 1, 1)
    conv.stride = (2,)
    assert conv(taut.ones(1, 1, 4)).shape == (1, 1, 2)
    with pytest.raises(TypeError):
        drop.p = "much"

    class Mine(nn.Conv1d):
        def __init__(self):
            super().__init__(2, 2, 3)
            self.kernel_size = (3,)

    assert Mine().kernel_size == (3,)


def test_load_reports_print_as_in_pytorch():
    layer = nn.Linear(2, 2)
    assert repr(layer.load_state_dict(layer.state_dict())) == "<All keys matched successfully>"
    assert repr(layer.load_state_dict({}, strict=False)) == "IncompatibleKeys(missing_keys=['weight', 'bias'], unexpected_keys=[])"


class Momentum(taut.optim.Optimizer):
    """As SGD with momentum, written in Python."""

    def __init__(self, params, lr=0.1, momentum=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @taut.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["buffer"] = taut.zeros_like(p)
                state["step"] += 1
                state["buffer"].mul_(group["momentum"]).add_(p.grad)
                p.add_(state["buffer"], alpha=-group["lr"])


def test_optimizers_written_in_python():
    nets = [nn.Linear(3, 2), nn.Linear(3, 2)]
    nets[1].load_state_dict(nets[0].state_dict())
    mine = Momentum([{"params": [nets[0].weight]}, {"params": [nets[0].bias], "lr": 0.01}], momentum=0.9)
    theirs = taut.optim.SGD([{"params": [nets[1].weight]}, {"params": [nets[1].bias], "lr": 0.01}], lr=0.1, momentum=0.9)
    schedules = [taut.optim.lr_scheduler.ExponentialLR(optimizer, 0.9) for optimizer in (mine, theirs)]
    x = taut.randn(4, 3)
    for step in range(5):
        for net, optimizer, schedule in zip(nets, (mine, theirs), schedules):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
            schedule.step()
        assert taut.allclose(nets[0].weight, nets[1].weight) and taut.allclose(nets[0].bias, nets[1].bias)
        if step == 2:  # the state survives
            saved = mine.state_dict()
            mine = Momentum([{"params": [nets[0].weight]}, {"params": [nets[0].bias]}])
            mine.load_state_dict(saved)
            schedules[0] = taut.optim.lr_scheduler.ExponentialLR(mine, 0.9)
            schedules[0].load_state_dict(schedules[1].state_dict())
    state = mine.state[nets[0].bias]
    assert state["step"] == 5 and set(state) == {"step", "buffer"} and "buffer" in state and state.get("other", 3) == 3
    assert repr(mine).startswith("Momentum (") and isinstance(mine, taut.optim.Optimizer)
    with pytest.raises(KeyError):
        state["other"]
    with pytest.raises(ValueError, match="none of the parameters"):
        mine.state[taut.ones(1)]
    with pytest.raises(ValueError):
        Momentum([])
    with pytest.raises(NotImplementedError, match="step"):
        taut.optim.Optimizer([nets[0].weight], {}).step()


def test_states_of_optimizers_of_cpp_can_be_read():
    x = taut.ones(3, requires_grad=True)
    optimizer = taut.optim.Adam([x])
    x.sum().backward()
    optimizer.step()
    assert optimizer.state[x]["exp_avg"].shape == (3,)


def test_what_is_shared_has_all_its_names_when_asked():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.BatchNorm1d(2), layer)
    net.tied = layer.weight
    assert [name for name, _ in net.named_parameters()] == ["tied", "0.bias", "1.weight", "1.bias"]
    assert [name for name, _ in net.named_parameters("net", remove_duplicate=False)] == [
        *("net.tied", "net.0.weight", "net.0.bias", "net.1.weight", "net.1.bias", "net.2.weight", "net.2.bias")
    ]
    assert [name for name, _ in net.named_parameters(recurse=False, remove_duplicate=False)] == ["tied"]
    assert [name for name, _ in net.named_modules(remove_duplicate=False)] == ["", "0", "1", "2"]
    assert [name for name, _ in net.named_modules()] == ["", "0", "1"]
    net.again = net[1]
    assert len(list(net.named_buffers(remove_duplicate=False))) == 6 and len(list(net.named_buffers())) == 3
    seen = {layer}
    assert [name for name, _ in net.named_modules(seen, "net")] == ["net", "net.1"] and len(seen) == 3
    # Both names are saved, and both are on the tape when that is asked for.
    assert all(tensor.requires_grad for name, tensor in net.state_dict(keep_vars=True).items() if "weight" in name)


def test_a_module_before_its_init_is_refused():
    class Hasty(nn.Module):
        def __init__(self, part):
            self.part = part
            super().__init__()

    assert Hasty(3).part == 3
    for part in (nn.Linear(1, 1), nn.Parameter(taut.ones(1))):
        with pytest.raises(AttributeError, match=r"Hasty: call super\(\).__init__\(\)"):
            Hasty(part)
    unmade = nn.Linear.__new__(nn.Linear)
    assert "before its __init__" in repr(unmade) and not hasattr(unmade, "weight")
    for use in (lambda: unmade(taut.ones(1)), lambda: list(unmade.parameters()), unmade.eval, lambda: unmade.apply(print)):
        with pytest.raises(AttributeError, match=r"Linear: call super"):
            use()
