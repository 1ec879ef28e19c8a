"""x[key] and x[key] = value against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import taut

SHAPE = (4, 3, 5)


def arrays():
    a = np.arange(60.0).reshape(SHAPE)
    return a, taut.tensor(a)


BASIC = [
    0, -1, slice(None), slice(1, 3), slice(None, None, 2), slice(-2, None), slice(5, 2), None, Ellipsis, (), (0, 1), (0, 1, 2),
    (slice(None), 1), (Ellipsis, 0), (0, Ellipsis), (None, 0, None, Ellipsis), (slice(1, 3), slice(None), slice(0, 5, 3)),
    (1, Ellipsis, slice(2, 4)), (Ellipsis, None), (np.int64(1),),
]
ADVANCED = [
    [0, 2], [[0, 1], [2, 3]], ([0, 1], [1, 2]), ([0, 1], slice(None), [1, 2]), (slice(None), [0, 2]), (0, [0, 2]), ([3, 0], 1),
    (Ellipsis, [4, 0]), ([0], [[1], [2]], 3), (None, [1, 1]), True, False, (slice(1, 3), [0, 1], None, [2, 2]), ([-1, -4],),
    (np.array([True, False, True, True]),), np.arange(60).reshape(SHAPE) % 2 == 0,
    (slice(None), np.array([True, False, True])), (np.arange(12).reshape(4, 3) > 5,), (1, np.array([False, True, True]), [2, 3]),
    [], (slice(None), []),
]


def as_tensor_key(key):
    if isinstance(key, np.ndarray):
        return taut.tensor(key)
    if isinstance(key, tuple):
        return tuple(as_tensor_key(item) for item in key)
    return key


def for_numpy(key):
    def one(item):
        return np.array(item, dtype=int) if isinstance(item, list) else item

    return tuple(one(item) for item in key) if isinstance(key, tuple) else one(key)


@pytest.mark.parametrize("key", BASIC + ADVANCED, ids=repr)
def test_get(key):
    a, x = arrays()
    expected = a[for_numpy(key)]
    np.testing.assert_array_equal(x[key].numpy(), expected)
    np.testing.assert_array_equal(x[as_tensor_key(key)].numpy(), expected)
    assert tuple(x[key].shape) == np.shape(expected)


@pytest.mark.parametrize("key", BASIC, ids=repr)
def test_basic_indexing_gives_views(key):
    _, x = arrays()
    y = x[key]
    assert y is not x
    if y.numel():
        y.zero_()
        assert (x == 0).sum().item() >= y.numel()


@pytest.mark.parametrize("key", BASIC + ADVANCED, ids=repr)
def test_set(key):
    for value in (7.0, None):
        a, x = arrays()
        if value is None:
            value = np.random.rand(*np.shape(a[for_numpy(key)]))
            a[for_numpy(key)] = value
            x[key] = taut.tensor(value, dtype=taut.float64)
        else:
            a[for_numpy(key)] = value
            x[key] = value
        np.testing.assert_array_equal(x.numpy(), a)


def test_set_broadcasts_casts_and_takes_lists():
    x = taut.zeros(2, 3)
    x[0] = [1, 2, 3]
    x[:, 1] = taut.tensor(9)
    x[1] = taut.tensor([[5, 6, 7]])
    assert x.tolist() == [[1, 9, 3], [5, 6, 7]]
    x[x > 6] = 0
    assert x.tolist() == [[1, 0, 3], [5, 6, 0]]
    x[0] += 1
    assert x[0].tolist() == [2, 1, 4]
    with pytest.raises(RuntimeError):
        x[0] = taut.ones(4)


def test_refused_keys():
    _, x = arrays()
    for key in (4, (0, 0, 0, 0), (0, 9), [9], "a", 1.5, (Ellipsis, Ellipsis), taut.tensor([0.5])):
        with pytest.raises((IndexError, TypeError)):
            x[key]
    with pytest.raises(ValueError, match="step"):
        x[::-1]
    with pytest.raises(IndexError):
        taut.tensor(1.0)[0]
    with pytest.raises(IndexError):
        x[taut.ones(3, dtype=taut.bool)]
    with pytest.raises(TypeError):
        del x[0]


def test_gradients_flow_through_both_kinds():
    x = taut.ones(3, requires_grad=True)
    (x[1] * 2 + x[[0, 0]].sum()).backward()
    assert x.grad.tolist() == [2, 2, 0]
    base = taut.zeros(3)
    base[1] = x.sum()
    base[[0, 2]] = x[:2] * 3
    x.grad = None
    base.sum().backward()
    assert x.grad.tolist() == [4, 4, 1]


bounds = st.one_of(st.none(), st.integers(-6, 6))
slices = st.builds(slice, bounds, bounds, st.one_of(st.none(), st.integers(1, 4)))
items = st.one_of(st.integers(-3, 2), slices, st.none(), st.lists(st.integers(-3, 2), min_size=2, max_size=2), st.just(Ellipsis))


@settings(max_examples=150, deadline=None)
@given(st.lists(items, max_size=5).map(tuple))
def test_random_keys(key):
    if sum(item is Ellipsis for item in key) > 1:
        return
    if any(isinstance(item, list) for item in key):
        # Beside lists NumPy takes an int for a list too, PyTorch and Taut do not.
        key = tuple([item] * 2 if isinstance(item, int) else item for item in key)
    a, x = arrays()
    if sum(item is not None and item is not Ellipsis for item in key) == a.ndim:
        # An Ellipsis that stands for no dims keeps lists apart in NumPy, not in PyTorch and Taut.
        key = tuple(item for item in key if item is not Ellipsis)
    try:
        expected = a[for_numpy(key)]
    except IndexError:
        with pytest.raises(IndexError):
            x[key]
        return
    np.testing.assert_array_equal(x[key].numpy(), expected)
    a[for_numpy(key)] = -1
    x[key] = -1
    np.testing.assert_array_equal(x.numpy(), a)
