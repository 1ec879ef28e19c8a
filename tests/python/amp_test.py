"""Autocast and GradScaler in Python: scopes, decorators, training, and PyTorch's numbers."""

import pytest
import taut
from taut import nn


# ---- autocast -------------------------------------------------------------------------------------


def test_scopes_and_dtypes():
    x = taut.rand(4, 4)
    with taut.autocast("cpu"):
        assert taut.is_autocast_enabled("cpu") and not taut.is_autocast_enabled("cuda")
        assert (x @ x).dtype is taut.bfloat16
        assert (x @ x).softmax(-1).dtype is taut.float32
        with taut.autocast("cpu", enabled=False):
            assert (x @ x).dtype is taut.float32
        assert (x @ x).dtype is taut.bfloat16
    assert not taut.is_autocast_enabled("cpu")
    assert (x @ x).dtype is taut.float32
    assert taut.get_autocast_dtype("cpu") is taut.bfloat16
    assert taut.get_autocast_dtype("cuda") is taut.float16
    assert taut.amp.autocast is taut.autocast


def test_decorates_functions():
    @taut.autocast("cpu", dtype=taut.bfloat16)
    def product(x):
        return x @ x

    @taut.autocast(device_type="cpu")
    def products(x):
        yield x @ x
        yield x @ x

    x = taut.rand(2, 2)
    assert product(x).dtype is taut.bfloat16 and product.__name__ == "product"
    for y in products(x):
        assert y.dtype is taut.bfloat16
        assert (x @ x).dtype is taut.float32
    assert not taut.is_autocast_enabled("cpu")


def test_one_scope_may_be_entered_again():
    scope = taut.autocast("cpu")
    with scope:
        with scope:
            assert taut.is_autocast_enabled("cpu")
        assert taut.is_autocast_enabled("cpu")
    assert not taut.is_autocast_enabled("cpu")
    with pytest.raises(ZeroDivisionError), scope:
        1 / 0
    assert not taut.is_autocast_enabled("cpu")


def test_refuses_what_there_is_not():
    with pytest.raises(RuntimeError, match="xpu"):
        taut.autocast("xpu")
    with pytest.raises(ValueError, match="bfloat16"):
        taut.autocast("cpu", taut.float16).__enter__()
    with pytest.raises(TypeError, match="dtype"):
        taut.autocast("cpu", "bfloat16").__enter__()
    assert not taut.is_autocast_enabled("cpu")
    assert taut.amp.is_autocast_available("cuda") and not taut.amp.is_autocast_available("xpu")


def test_cache_of_casts():
    w = taut.ones(2, 2, requires_grad=True)
    x = taut.ones(2, 2)
    with taut.autocast("cpu", cache_enabled=False):
        assert not taut.is_autocast_cache_enabled()
        with taut.autocast("cpu"):
            assert not taut.is_autocast_cache_enabled(), "inherited"
    with taut.autocast("cpu"):
        assert (x @ w)[0, 0] == 2
        with taut.no_grad():
            w.mul_(2)
        assert (x @ w)[0, 0] == 4
        w.data = taut.full((2, 2), 5.0)
        assert (x @ w)[0, 0] == 10


def test_binary_cross_entropy_is_refused():
    p = taut.full((3,), 0.5)
    with taut.autocast("cpu"), pytest.raises(RuntimeError, match="binary_cross_entropy_with_logits"):
        nn.functional.binary_cross_entropy(p, p)


def test_custom_functions():
    seen = []

    class Product(taut.autograd.Function):
        @staticmethod
        @taut.amp.custom_fwd(device_type="cpu")
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a @ b

        @staticmethod
        @taut.amp.custom_bwd(device_type="cpu")
        def backward(ctx, grad):
            a, b = ctx.saved_tensors
            seen.append((grad @ b.t()).dtype)
            return (grad @ b.t()).float(), (a.t() @ grad).float()

    class Exact(taut.autograd.Function):
        @staticmethod
        @taut.amp.custom_fwd(device_type="cpu", cast_inputs=taut.float32)
        def forward(ctx, a):
            seen.append((a @ a).dtype)
            return a.clone()

        @staticmethod
        @taut.amp.custom_bwd(device_type="cpu")
        def backward(ctx, grad):
            seen.append((grad @ grad).dtype)
            return grad

    a = taut.rand(2, 2, requires_grad=True)
    b = taut.rand(2, 2, requires_grad=True)
    with taut.autocast("cpu"):
        y = Product.apply(a, b)
    assert y.dtype is taut.bfloat16
    y.sum().backward()
    with taut.autocast("cpu"):
        z = Exact.apply(y.detach().requires_grad_())
        z.sum().backward()
        assert (a @ b).dtype is taut.bfloat16
    assert seen == [taut.bfloat16, taut.float32, taut.float32]
    Product.apply(a, b).sum().backward()
    assert seen[-1] is taut.float32


# ---- GradScaler -----------------------------------------------------------------------------------


def train(optimizer_type, *, scaler=None, spoiled=(), steps=8, autocast=False, lr=0.05):
    """A small net; the gradients of the spoiled steps get an infinity. Returns losses and weights."""
    taut.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    x, y = taut.randn(32, 6), taut.randint(0, 3, (32,))
    optimizer = optimizer_type(net.parameters(), lr=lr)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        with taut.autocast("cpu", enabled=autocast):
            loss = nn.functional.cross_entropy(net(x), y)
        losses.append(loss.item())
        if scaler is None:
            loss.backward()
            if step not in spoiled:
                optimizer.step()
            continue
        scaler.scale(loss).backward()
        if step in spoiled:
            next(net.parameters()).grad[0, 0] = float("inf")
        scaler.step(optimizer)
        scaler.update()
    return losses, [p.detach() for p in net.parameters()], optimizer


OPTIMIZERS = [taut.optim.SGD, taut.optim.Adam, taut.optim.AdamW, taut.optim.RMSprop, taut.optim.Adagrad]


@pytest.mark.parametrize("optimizer_type", OPTIMIZERS)
def test_trains_as_without_and_skips_bad_steps(optimizer_type):
    # A power of two scales without rounding: the numbers are the same to the bit.
    scaler = taut.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    losses, weights, optimizer = train(optimizer_type, scaler=scaler, spoiled={0, 4, 5})
    expected_losses, expected, plain = train(optimizer_type, spoiled={0, 4, 5})
    assert losses == expected_losses
    for got, wanted in zip(weights, expected):
        assert taut.equal(got, wanted)
    for got, wanted in zip(optimizer.state_dict()["state"].values(), plain.state_dict()["state"].values()):
        assert got.get("step") == wanted.get("step") and got.get("step", 5) == 5
    # bad, three good ones, two bad, two good
    assert scaler.get_scale() == 1024 * 0.5 * 2 * 0.25
    assert scaler.state_dict()["_growth_tracker"] == 2


def test_trains_under_autocast():
    scaler = taut.amp.GradScaler("cpu")
    losses, _, _ = train(taut.optim.AdamW, scaler=scaler, steps=40, autocast=True)
    exact, _, _ = train(taut.optim.AdamW, steps=40)
    assert losses[-1] < 0.8 * losses[0]
    assert losses[-1] == pytest.approx(exact[-1], rel=0.05)
    assert losses != exact


class Descent(taut.optim.Optimizer):
    """An optimizer in Python."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})
        self.calls = []

    def step(self, closure=None, *, note=None):
        self.calls.append(note)
        with taut.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p -= group["lr"] * p.grad
        return "stepped"


class CountingSGD(taut.optim.SGD):
    """One of Taut's with a step of its own."""

    calls = 0

    def step(self, closure=None):
        self.calls += 1
        return super().step(closure)


def test_steps_in_python_are_called_only_when_all_is_finite():
    w = taut.ones(3, requires_grad=True)
    optimizer = Descent([w], lr=1.0)
    scaler = taut.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(w.sum()).backward()
    assert scaler.step(optimizer, note="first") == "stepped"
    scaler.update()
    assert optimizer.calls == ["first"] and taut.equal(w, taut.zeros(3))
    w.grad[1] = float("nan")
    assert scaler.step(optimizer) is None
    assert optimizer.calls == ["first"]
    scaler.update()
    counting = CountingSGD([w], lr=1.0)
    w.grad = taut.full((3,), 2.0)
    scaler.step(counting)
    assert counting.calls == 1 and taut.equal(w, taut.full((3,), -1.0))


def test_unscale_for_clipping():
    w = taut.ones(4, requires_grad=True)
    optimizer = taut.optim.SGD([w], lr=1.0)
    scaler = taut.amp.GradScaler("cpu", init_scale=512.0)
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    assert nn.utils.clip_grad_norm_([w], 1.0).item() == pytest.approx(2.0)
    scaler.step(optimizer)
    scaler.update()
    assert taut.allclose(w, taut.full((4,), 0.5))


def test_refuses_calls_out_of_turn():
    w = taut.ones(2, requires_grad=True)
    optimizer = taut.optim.SGD([w], lr=0.1)
    scaler = taut.amp.GradScaler("cpu")
    scaler.scale(w.sum()).backward()
    with pytest.raises(RuntimeError):
        scaler.update()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="after step"):
        scaler.unscale_(optimizer)
    scaler.update()
    with pytest.raises(RuntimeError, match="closure"):
        scaler.step(optimizer, closure=lambda: None)
    half = taut.ones(2, dtype=taut.float16, requires_grad=True)
    half.grad = taut.ones(2, dtype=taut.float16)
    with pytest.raises(ValueError, match="float16"):
        scaler.unscale_(taut.optim.SGD([half], lr=0.1))
    with pytest.raises(ValueError, match="growth_factor"):
        taut.amp.GradScaler("cpu", growth_factor=1.0)


def test_settings_and_state():
    scaler = taut.amp.GradScaler("cpu", 8.0, 3.0, 0.25, 10)
    assert scaler.state_dict() == {
        "scale": 8.0, "growth_factor": 3.0, "backoff_factor": 0.25, "growth_interval": 10, "_growth_tracker": 0,
    }
    scaler.set_growth_factor(4.0)
    scaler.set_backoff_factor(0.5)
    scaler.set_growth_interval(20)
    assert (scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()) == (4.0, 0.5, 20)
    other = taut.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict()
    other.update(2.0)
    assert other.get_scale() == 2.0
    other.update(taut.tensor(16.0))
    assert other.get_scale() == 16.0
    with pytest.raises(RuntimeError, match="empty"):
        other.load_state_dict({})
    a, (b,) = other.scale([taut.ones(1), (taut.ones(1),)])
    assert a == 16 and b == 16
    with pytest.raises(ValueError, match="tensor"):
        other.scale(3)


def test_disabled_without_a_gpu():
    if taut.cuda.is_available():
        assert taut.amp.GradScaler().is_enabled()
        return
    with pytest.warns(UserWarning, match="GPU"):
        scaler = taut.amp.GradScaler()
    w = taut.ones(2, requires_grad=True)
    optimizer = taut.optim.SGD([w], lr=1.0)
    loss = w.sum()
    assert scaler.scale(loss) is loss and not scaler.is_enabled() and scaler.get_scale() == 1.0
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert taut.equal(w, taut.zeros(2)) and scaler.state_dict() == {}


def test_float32_matmul_precision():
    assert taut.get_float32_matmul_precision() == "highest"
    taut.set_float32_matmul_precision("high")
    assert taut.get_float32_matmul_precision() == "high"
    taut.set_float32_matmul_precision("highest")
    with pytest.raises(ValueError, match="highest"):
        taut.set_float32_matmul_precision("low")


def test_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    if not hasattr(torch.amp, "GradScaler"):
        pytest.skip("an old PyTorch")

    def run(library, scaler):
        w = library.tensor([1.0, -2.0, 3.0], requires_grad=True)
        optimizer = library.optim.Adam([w], lr=0.1)
        trace = []
        for step in range(9):
            optimizer.zero_grad()
            scaler.scale((w * w).sum()).backward()
            if step in (0, 5):
                w.grad[1] = float("inf")
            scaler.step(optimizer)
            scaler.update()
            trace.append((scaler.get_scale(), *w.tolist()))
        return trace

    arguments = dict(init_scale=64.0, growth_factor=4.0, backoff_factor=0.125, growth_interval=2)
    mine = run(taut, taut.amp.GradScaler("cpu", **arguments))
    theirs = run(torch, torch.amp.GradScaler("cpu", **arguments))
    for got, wanted in zip(mine, theirs):
        assert got == pytest.approx(wanted, rel=1e-5)
