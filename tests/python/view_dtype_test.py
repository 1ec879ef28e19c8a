"""Tensor.view(dtype): the same bytes read as another dtype."""

import numpy as np
import pytest

import taut

DTYPES = [taut.float64, taut.float32, taut.float16, taut.bfloat16, taut.int64, taut.int32, taut.int16, taut.int8, taut.uint8]


def numpy_of(x):
    return x.view(taut.int16).numpy() if x.dtype is taut.bfloat16 else x.numpy()


@pytest.mark.parametrize("to", DTYPES)
@pytest.mark.parametrize("start", DTYPES)
def test_reads_the_same_bytes(start, to):
    x = taut.arange(32).to(start).view(4, 8)
    y = x.view(to)
    assert y.dtype is to and y.shape == (4, 8 * start.itemsize // to.itemsize) and y.data_ptr() == x.data_ptr()
    assert numpy_of(y).tobytes() == numpy_of(x).tobytes()
    assert y.view(start).tolist() == x.tolist()


def test_keeps_strides_and_offset():
    x = taut.arange(24, dtype=taut.int32).view(3, 8)
    part = x[1:, 2:6]
    wide, narrow = part.view(taut.int64), part.view(taut.int16)
    assert (wide.shape, wide.stride(), wide.storage_offset()) == ((2, 2), (4, 1), 5)
    assert (narrow.shape, narrow.stride(), narrow.storage_offset()) == ((2, 8), (16, 1), 20)
    expected = x.numpy()[1:, 2:6]
    np.testing.assert_array_equal(narrow.numpy(), np.ascontiguousarray(expected).view(np.int16))
    np.testing.assert_array_equal(wide.numpy(), np.ascontiguousarray(expected).view(np.int64))
    # One size: any strides, any number of dims.
    assert x.t().view(taut.float32).stride() == (1, 8) and x[:, ::2].view(taut.float32).stride() == (8, 2)
    assert taut.tensor(1.0).view(taut.int32).item() == 0x3F800000
    assert taut.zeros(2, 4).expand(3, 2, 4).view(taut.float64).stride() == (0, 2, 1)
    assert taut.zeros(0, 4).view(taut.float64).shape == (0, 2)


def test_shares_storage_and_version():
    x = taut.zeros(4)
    bits = x.view(taut.int32)
    bits.fill_(0x3F800000)
    assert x.tolist() == [1, 1, 1, 1] and x._version == bits._version == 1
    weight = taut.ones(2, requires_grad=True)
    doubled = weight * 2
    loss = (doubled * doubled).sum()
    doubled.view(taut.int32).add_(1)
    with pytest.raises(RuntimeError, match="modified|version|in place|written"):
        loss.backward()


def test_is_outside_the_tape():
    x = taut.ones(2, requires_grad=True)
    assert not x.view(taut.int32).requires_grad and not x.view(taut.float64).requires_grad
    assert x.view(taut.float32).requires_grad  # the same dtype is a plain view


@pytest.mark.parametrize(
    "wrong, fragments",
    [
        (lambda: taut.zeros(4, 5).view(taut.float64), ["last size", "2", "5"]),
        (lambda: taut.zeros(()).view(taut.int16), ["without dims", "int16", "float32"]),
        (lambda: taut.zeros(4, 6).t().view(taut.float64), ["stride 1", "(1, 6)"]),
        (lambda: taut.zeros(4, 6)[:, ::2].view(taut.int8), ["stride 1", "(6, 2)"]),
        (lambda: taut.zeros(4, 8)[:, 1:5].view(taut.float64), ["storage offset", "got 1"]),
        (lambda: taut.zeros(4, 7)[:, :4].view(taut.float64), ["every stride", "got 7"]),
        (lambda: taut.full((2,), 7, dtype=taut.uint8).view(taut.bool), ["bool", "0 or 1", "got 7"]),
    ],
)
def test_says_what_does_not_fit(wrong, fragments):
    with pytest.raises(ValueError) as caught:
        wrong()
    assert [fragment for fragment in fragments if fragment not in str(caught.value)] == [], caught.value


def test_bools_come_back():
    mask = taut.tensor([True, False])
    assert mask.view(taut.uint8).tolist() == [1, 0] and mask.view(taut.uint8).view(taut.bool).tolist() == [True, False]
