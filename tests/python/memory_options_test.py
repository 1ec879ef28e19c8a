"""Options that trade memory: `recompute` of layers and `state_dtype` of optimizers, through Python."""

import copy
import pickle

import pytest

import taut
import taut.nn.functional as F
from taut import nn

SEED = 23
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not taut.cuda.is_available(), reason="no GPU"))]
devices = pytest.mark.parametrize("device", DEVICES)


class Block(nn.Module):
    """Norm, product, GELU, product: the half of a transformer's block."""

    def __init__(self, width, recompute):
        super().__init__()
        self.norm = nn.LayerNorm(width, recompute=recompute)
        self.gelu = nn.GELU("tanh", recompute=recompute)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return x + self.down(self.gelu(self.up(self.norm(x))))


def held_after_forward(device, recompute):
    """Bytes that a few blocks hold for backward, and the gradients."""
    taut.manual_seed(SEED)
    model = nn.Sequential(*[Block(128, recompute) for _ in range(3)]).to(device)
    x = taut.randn(256, 128, device=device)
    before = taut.memory_stats(device)["allocated"]
    loss = model(x).square().mean()
    held = taut.memory_stats(device)["allocated"] - before
    loss.backward()
    return held, [parameter.grad for parameter in model.parameters()]


@devices
def test_recompute_holds_less_and_changes_no_bit(device):
    plain, expected = held_after_forward(device, recompute=False)
    less, grads = held_after_forward(device, recompute=True)
    # Of each block one activation of the width and one of four times that.
    assert plain - less >= 3 * 5 * 256 * 128 * 4 * 0.98
    assert all((a == b).all() for a, b in zip(grads, expected))


def test_recompute_is_part_of_a_layer():
    for layer in (nn.LayerNorm(4, recompute=True), nn.RMSNorm(4, recompute=True), nn.GELU(recompute=True)):
        assert layer.recompute and "recompute=True" in repr(layer)
        for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert twin.recompute
    norm = nn.LayerNorm(4)
    assert not norm.recompute and "recompute" not in repr(norm)
    norm.recompute = True
    x = taut.randn(3, 4, requires_grad=True)
    weight = taut.randn(4, 4, requires_grad=True)
    (norm(x) @ weight).sum().backward()
    expected = taut.autograd.grad((F.layer_norm(x, 4) @ weight).sum(), [x, weight])
    assert (x.grad == expected[0]).all() and (weight.grad == expected[1]).all()


def trained(device, **options):
    """The last losses of a small classifier."""
    taut.manual_seed(SEED)
    model = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 10)).to(device)
    optimizer = taut.optim.AdamW(model.parameters(), lr=3e-3, **options)
    x, centres = taut.randn(2048, 64, device=device), taut.randn(64, 10, device=device)
    y = (x @ centres + taut.randn(2048, 10, device=device)).argmax(1)
    losses = []
    for step in range(150):
        rows = slice(step % 16 * 128, (step % 16 + 1) * 128)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], sum(losses[-16:]) / 16


@devices
def test_small_state_learns_as_the_full_one(device):
    first, full = trained(device)
    assert full < 0.35 * first
    for dtype in (taut.bfloat16, "bfloat16", taut.int8, "int8"):
        assert abs(trained(device, state_dtype=dtype)[1] - full) < 0.1 * full, dtype


@devices
@pytest.mark.parametrize("dtype", [taut.bfloat16, taut.int8])
def test_small_state_goes_through_a_file(device, dtype, tmp_path):
    taut.manual_seed(SEED)
    weights = [taut.randn(70, 70, device=device).requires_grad_() for _ in range(2)]
    weights[1].data.copy_(weights[0].data)
    grads = [taut.randn(70, 70, device=device) for _ in range(8)]

    def run(weight, optimizer, part):
        for grad in part:
            weight.grad = grad
            optimizer.step()

    one = taut.optim.Adam(weights[:1], state_dtype=dtype)
    run(weights[0], one, grads[:4])
    taut.save(one.state_dict(), tmp_path / "optimizer.safetensors")
    weights[1].data.copy_(weights[0].data)
    other = taut.optim.Adam(weights[1:])
    other.load_state_dict(taut.load(tmp_path / "optimizer.safetensors"))
    assert other.param_groups[0]["state_dtype"] == str(dtype).split(".")[-1]
    run(weights[0], one, grads[4:])
    run(weights[1], other, grads[4:])
    assert (weights[0] == weights[1]).all()


def test_state_dtypes_that_are_none():
    weight = taut.zeros(3, requires_grad=True)
    for wrong in ("float16", taut.float64, taut.int64, "eight"):
        with pytest.raises(ValueError, match="state_dtype"):
            taut.optim.AdamW([weight], state_dtype=wrong)
    with pytest.raises(ValueError, match="state_dtype"):
        taut.optim.RMSprop([{"params": [weight], "state_dtype": "int8"}])
    taut.optim.SGD([{"params": [weight], "state_dtype": taut.bfloat16}], momentum=0.9)
