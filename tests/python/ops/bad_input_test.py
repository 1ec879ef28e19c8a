"""What a new user gets wrong in a program: each a clear error that names the values, and nothing is changed by it."""

import numpy as np
import pytest

import taut
import taut.nn.functional as F
from taut import nn

NAN = float("nan")


def model():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def numbers(state):
    return {name: tensor.numpy().copy() for name, tensor in state.items()}


def same(before, after):
    return before.keys() == after.keys() and all(
        np.array_equal(before[name], after[name], equal_nan=True) for name in before
    )


@pytest.fixture
def trained():
    """A model and its optimizer after one step."""
    net = model()
    optimizer = taut.optim.AdamW(net.parameters(), lr=0.1)
    F.cross_entropy(net(taut.randn(5, 4)), taut.tensor([0, 1, 2, 0, 1])).backward()
    optimizer.step()
    return net, optimizer


@pytest.mark.parametrize(
    "batch, said",
    [
        (lambda: taut.randn(5, 3), ["linear", "(5, 3)", "(8, 4)"]),
        (lambda: taut.randn(4), ["BatchNorm1d", "(8,)"]),
        (lambda: taut.randn(5, 4, dtype=taut.float64), ["float64", "float32"]),
        (lambda: taut.ones(5, 4, dtype=taut.int64), ["int64", "float32"]),
        (lambda: taut.randn(1, 4), ["batch_norm", "(1, 8)"]),
        (lambda: taut.randn(5, 4).numpy(), ["ndarray"]),
        (lambda: [[1.0, 2.0, 3.0, 4.0]], ["list"]),
        (lambda: None, ["None"]),
    ],
)
def test_wrong_batches_leave_the_model_as_it_was(trained, batch, said):
    net, _ = trained
    before = numbers(net.state_dict())
    with pytest.raises((RuntimeError, TypeError, ValueError)) as caught:
        net(batch())
    assert [word for word in said if word not in str(caught.value)] == [], str(caught.value)
    assert same(before, numbers(net.state_dict()))


def test_an_empty_batch():
    net = model().eval()
    out = net(taut.zeros(0, 4))
    assert out.shape == (0, 3)
    assert np.isnan(F.cross_entropy(out, taut.zeros(0, dtype=taut.int64)).item())
    assert F.cross_entropy(out, taut.zeros(0, dtype=taut.int64), reduction="sum").item() == 0
    out.sum().backward()
    assert all((p.grad == 0).all() for p in net.parameters())
    net.train()(taut.zeros(0, 4))  # no statistics of nothing
    assert (net[1].running_mean == 0).all() and (net[1].running_var == 1).all()


@pytest.mark.parametrize("label", [3, -1, 2**40, -(2**63)])
def test_a_label_outside_the_classes(trained, label):
    net, optimizer = trained
    before, state = numbers(net.state_dict()), optimizer.state_dict()
    optimizer.zero_grad()
    with pytest.raises(IndexError) as caught:
        F.cross_entropy(net.eval()(taut.randn(2, 4)), taut.tensor([0, label])).backward()
    assert "cross_entropy" in str(caught.value) and str(label) in str(caught.value) and "0..2" in str(caught.value)
    assert all(p.grad is None for p in net.parameters())
    assert same(before, numbers(net.state_dict())) and len(state["state"]) == len(optimizer.state_dict()["state"])


def test_labels_of_nan():
    logits = taut.randn(2, 3)
    with pytest.raises((TypeError, RuntimeError), match="float32"):
        F.nll_loss(logits, taut.tensor([0.0, NAN]))
    with pytest.raises((TypeError, RuntimeError), match=r"\(2,\)"):
        F.cross_entropy(logits, taut.tensor([0.0, NAN]))
    with pytest.raises((ValueError, RuntimeError), match="nan"):
        F.binary_cross_entropy(taut.tensor([0.5, NAN]), taut.tensor([1.0, 0.0]))
    # Where any number is a label NaN passes through, to be seen in the loss.
    assert np.isnan(F.mse_loss(logits, taut.full((2, 3), NAN)).item())


def test_every_label_ignored():
    logits = taut.randn(2, 3, requires_grad=True)
    assert np.isnan(F.cross_entropy(logits, taut.tensor([-100, -100])).item())
    assert F.cross_entropy(logits, taut.tensor([-100, -100]), reduction="sum").item() == 0


# ---- Another model's state --------------------------------------------------------------------------
def wrong_states():
    other = nn.Sequential(nn.Linear(4, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 3)).state_dict()
    yield other, ["0.weight", "(9, 4)", "(8, 4)"]
    deeper = nn.Sequential(*model(), nn.Linear(3, 3)).state_dict()
    yield deeper, ["4.weight"]
    less = {name: tensor for name, tensor in model().state_dict().items() if not name.startswith("3.")}
    yield less, ["3.weight", "3.bias"]
    # The last entry alone is wrong: what came before it must not be written either.
    late = {**model().state_dict(), "3.bias": taut.zeros(4)}
    yield late, ["3.bias", "(4,)", "(3,)"]
    yield {**model().state_dict(), "3.bias": [0.0, 0.0, 0.0]}, ["list"]
    yield {**model().state_dict(), "3.bias": None}, ["None"]
    yield {}, ["0.weight"]


@pytest.mark.parametrize("state, said", list(wrong_states()))
def test_the_state_of_another_model(trained, state, said):
    net, _ = trained
    before = numbers(net.state_dict())
    with pytest.raises((RuntimeError, TypeError)) as caught:
        net.load_state_dict(state)
    assert [word for word in said if word not in str(caught.value)] == [], str(caught.value)
    assert same(before, numbers(net.state_dict()))


def test_no_state_at_all(trained):
    net, optimizer = trained
    for wrong in (None, 5, "weights", [1]):
        with pytest.raises((TypeError, AttributeError, RuntimeError, ValueError)):
            net.load_state_dict(wrong)
        with pytest.raises((TypeError, AttributeError, RuntimeError, ValueError)):
            optimizer.load_state_dict(wrong)


def test_the_optimizer_state_of_another_model(trained):
    net, optimizer = trained
    before = optimizer.state_dict()
    other = nn.Linear(2, 2)
    with pytest.raises((RuntimeError, ValueError)):
        optimizer.load_state_dict(taut.optim.AdamW(other.parameters(), lr=0.5).state_dict())
    after = optimizer.state_dict()
    assert after["param_groups"][0]["lr"] == before["param_groups"][0]["lr"] == 0.1
    assert after["state"].keys() == before["state"].keys()


# ---- Writing in place -------------------------------------------------------------------------------
def writes():
    x = taut.arange(6.0).view(2, 3)
    i = taut.tensor([1, 2, 3])
    yield x, lambda: x.add_(taut.zeros(4))
    yield x, lambda: x.mul_(taut.zeros(5, 2, 3))
    yield x, lambda: x.copy_(taut.zeros(3, 2))
    yield x, lambda: x.index_add_(0, taut.tensor([0, 2]), taut.ones(2, 3))
    yield x, lambda: x.index_copy_(1, taut.tensor([0, 9]), taut.ones(2, 2))
    yield x, lambda: x.index_fill_(1, taut.tensor([0, 9]), 7.0)
    yield x, lambda: x.scatter_(1, taut.tensor([[0, 5]]), 7.0)
    yield x, lambda: x.scatter_add_(1, taut.tensor([[0, 5]]), taut.ones(1, 2))
    yield x, lambda: x.scatter_reduce_(1, taut.tensor([[0, -1]]), taut.ones(1, 2), "amax")
    yield x, lambda: x.index_put_((taut.tensor([0, 2]),), taut.tensor(7.0))
    yield x, lambda: x.index_put_((taut.tensor([0, 2]),), taut.tensor(7.0), accumulate=True)
    yield x, lambda: x.masked_scatter_(x > 0, taut.tensor([7.0]))
    yield x, lambda: x.masked_fill_(taut.tensor([True, False]), 7.0)
    yield x, lambda: x.__setitem__((0, 3), 7.0)
    yield x, lambda: x.__setitem__(taut.tensor([0, 2]), 7.0)
    yield x, lambda: x.__setitem__(0, taut.zeros(2))
    yield x, lambda: x.__setitem__(0, "seven")
    yield x, lambda: x.clamp_(None, None)
    yield x, lambda: x.uniform_(2, 1)
    yield x, lambda: x.normal_(0, -1)
    yield x, lambda: x.bernoulli_(1.5)
    yield x, lambda: x.fill_("seven")
    yield x, lambda: x.fill_(taut.zeros(2))
    yield i, lambda: i.add_(0.5)
    yield i, lambda: i.div_(2)
    yield i, lambda: i.sqrt_()
    yield i, lambda: i.floor_divide_(0)
    yield i, lambda: i.remainder_(taut.tensor([1, 0, 1]))
    yield i, lambda: i.pow_(-1)
    yield i, lambda: i.add_(2**70)


@pytest.mark.parametrize("target, write", list(writes()))
def test_a_refused_write_changes_nothing(target, write):
    before = target.numpy().copy()
    with pytest.raises((RuntimeError, TypeError, ValueError, IndexError, OverflowError)):
        write()
    np.testing.assert_array_equal(target.numpy(), before)


def test_writing_over_ones_own_input():
    x = taut.arange(9.0).view(3, 3)
    expected = x.numpy() + x.numpy().T
    assert np.array_equal(x.add_(x.t()).numpy(), expected)
    y = taut.arange(6.0)
    y[1:] = y[:-1]
    assert y.tolist() == [0, 0, 1, 2, 3, 4]
    y = taut.arange(6.0)
    y[:-1].copy_(y[1:])
    assert y.tolist() == [1, 2, 3, 4, 5, 5]
    z = taut.arange(4.0)
    assert z.sub_(z.flip(0)).tolist() == [-3, -1, 1, 3]


def test_integer_arithmetic_without_a_result():
    i = taut.tensor([7, -7])
    for divide in (taut.floor_divide, taut.remainder, taut.fmod):
        with pytest.raises(ValueError, match=f"{divide.__name__}: division of integers by zero"):
            divide(i, taut.tensor([2, 0]))
        with pytest.raises(taut.ShapeError, match=f"{divide.__name__}: shapes do not broadcast"):
            divide(i, taut.tensor([2, 0, 1]))
        assert divide(taut.tensor([], dtype=taut.int64), 3).shape == (0,)
    assert (i // 2).tolist() == [3, -4] and (i % 2).tolist() == [1, 1] and taut.fmod(i, 2).tolist() == [1, -1]
    assert (
        np.isinf((i / 0).numpy()).all()
        and np.isinf((i.float() // 0).numpy()).all()
        and np.isnan((i.float() % 0).numpy()).all()
    )
    assert (i ** taut.tensor(-1)).tolist() == [0, 0] and (taut.tensor([1, -1]) ** taut.tensor([-3, -3])).tolist() == [
        1,
        -1,
    ]
    assert (i.float() ** -1).tolist() == pytest.approx([1 / 7, -1 / 7])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_needs_a_floating_dtype(name):
    with pytest.raises(taut.DTypeError, match=f"{name}: expected a floating dtype; got int8"):
        getattr(taut, name)(taut.ones(3), 0, dtype=taut.int8)


@pytest.mark.parametrize("include_self", [True, False])
def test_the_derivative_of_a_product_knows_zeros(include_self):
    # Elements 0 to 4 meet: no zero, one of src, two of src, one of self, one of each.
    index = taut.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    x = taut.tensor([2.0, 3.0, 5.0, 0.0, 0.0, 7.0], requires_grad=True)
    src = taut.tensor([3.0, 5.0, 0.0, 4.0, 0.0, 0.0, 2.0, 3.0, 0.0, 6.0], requires_grad=True)
    y = x.scatter_reduce(0, index, src, "prod", include_self=include_self)
    (y * taut.tensor([1.0, 2.0, 1.0, 1.0, 1.0, 1.0])).sum().backward()
    if include_self:
        assert x.grad.tolist() == [15, 0, 0, 6, 0, 1]
        assert src.grad.tolist() == [10, 6, 24, 0, 0, 0, 0, 0, 0, 0]
    else:
        assert x.grad.tolist() == [0, 0, 0, 0, 0, 1]
        assert src.grad.tolist() == [5, 3, 8, 0, 0, 0, 3, 2, 6, 0]


def test_the_second_derivative_of_a_product_with_zeros():
    index, x = taut.tensor([0, 0]), taut.tensor([2.0], requires_grad=True)

    def slope(values):
        src = taut.tensor(values, requires_grad=True)
        (grad,) = taut.autograd.grad(x.scatter_reduce(0, index, src, "prod").sum(), src, create_graph=True)
        return src, grad

    src, grad = slope([0.0, 3.0])
    assert grad.tolist() == [6, 0]
    assert taut.autograd.grad(grad.sum(), src)[0].tolist() == [2, 2]
    src, grad = slope([0.0, 0.0])
    assert grad.tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="scatter_reduce: the second derivative"):
        grad.sum().backward()


def test_devices_that_are_not_there():
    x = taut.ones(2)
    with pytest.raises(RuntimeError, match="cuda"):
        x.to("cuda:99")
    with pytest.raises(RuntimeError, match="cuda"):
        taut.zeros(2, device="cuda:99")
    with pytest.raises(RuntimeError, match="cuda"):
        nn.Linear(2, 2).to("cuda:99")
    assert x.device == taut.device("cpu") and x.tolist() == [1, 1]


MOST = 2**63 - 1
EXPANDED = taut.zeros(1).expand(2**62)
HUGE = {
    "tensor_split": lambda x: x.tensor_split(MOST),
    "chunk of nothing": lambda x: x[:0].chunk(MOST),
    "split": lambda x: EXPANDED.split(1),
    "split into a sum that wraps": lambda x: x.split([2**62] * 4 + [6]),
    "unbind": lambda x: EXPANDED.unbind(),
    "repeat": lambda x: x.repeat(MOST),
    "repeat twice": lambda x: x.repeat(2**40, 2**40),
    "repeat_interleave": lambda x: x.repeat_interleave(2**62),
    "expand": lambda x: x.expand(MOST, 6),
    "an expanded tensor": lambda x: EXPANDED + 1,
    "cat": lambda x: taut.cat([EXPANDED] * 3),
    "arange": lambda x: taut.arange(MOST),
    "arange of all": lambda x: taut.arange(-MOST - 1, MOST),
    "arange of floats": lambda x: taut.arange(0.0, 1e300),
    "linspace": lambda x: taut.linspace(0, 1, MOST),
    "eye": lambda x: taut.eye(MOST),
    "one_hot": lambda x: taut.nn.functional.one_hot(taut.tensor([MOST])),
    "one_hot of few": lambda x: taut.nn.functional.one_hot(taut.tensor([0]), MOST),
    "bincount": lambda x: taut.bincount(taut.tensor([MOST])),
    "bincount of few": lambda x: taut.bincount(taut.tensor([0]), minlength=MOST),
    "histc": lambda x: taut.histc(x, MOST),
    "tril_indices": lambda x: taut.tril_indices(MOST, MOST),
    "triu_indices": lambda x: taut.triu_indices(1, MOST),
    "diag_embed": lambda x: taut.diag_embed(x, -MOST - 1),
    "pad": lambda x: taut.nn.functional.pad(x, (2**62, 2**62)),
    "narrow": lambda x: x.narrow(0, 1, MOST),
    "as_strided": lambda x: x.as_strided((2,), (MOST,)),
    "cartesian_prod": lambda x: taut.cartesian_prod(EXPANDED, x),
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_counts_are_refused_at_once(name):
    with pytest.raises((RuntimeError, MemoryError), match=r"\d{10}|e\+\d\d|overflows"):
        HUGE[name](taut.arange(6.0))


def test_huge_counts_that_are_few():
    x = taut.arange(6.0)
    assert [part.tolist() for part in x.split(MOST)] == [x.tolist()] and len(x.chunk(MOST)) == 6
    assert [part.shape[0] for part in EXPANDED.split(2**62 - 1)] == [2**62 - 1, 1]
    assert x[1::MOST].tolist() == [1] and x.unfold(0, 2, MOST).tolist() == [[0, 1]]
    assert taut.arange(-MOST - 1, MOST, MOST).tolist() == [-MOST - 1, -1, MOST - 1]
    assert x[:0].repeat(MOST).shape == (0,) and taut.triu_indices(MOST, 0).shape == (2, 0)
    assert taut.tril_indices(3, 3, MOST).shape == (2, 9) and taut.tril_indices(3, 2, -1).tolist() == [[1, 2, 2], [0, 0, 1]]
    assert taut.Size([MOST, MOST]).numel() == MOST**2
