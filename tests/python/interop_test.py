"""Memory shared with NumPy and, through DLPack, with everybody else."""

import gc

import numpy as np
import pytest

import taut

NUMPY_DTYPES = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "bool"]


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_numpy_shares_both_ways(dtype):
    a = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype)
    x = taut.from_numpy(a)
    assert x.dtype.name == dtype and x.shape == (2, 3)
    a[0, 0] = 1
    assert x[0, 0].item() == 1
    x[1, 1] = 1
    assert a[1, 1] == 1
    b = x.numpy()
    assert b.dtype == a.dtype and b.__array_interface__["data"][0] == x.data_ptr()


@pytest.mark.parametrize("offset", [1, 2, 4])
def test_elements_may_lie_at_any_address(offset):
    n = 8_400_000  # more than 32 MiB: written past the caches, by stores that want aligned addresses
    bytes_ = np.zeros(4 * n + offset, dtype=np.uint8)
    x = taut.from_numpy(bytes_[offset:].view(np.float32))
    same = taut.rand(n)
    x.copy_(same)
    assert x.data_ptr() % 64 == (bytes_.ctypes.data + offset) % 64
    for op in ("sum", "amax", "exp"):
        assert taut.equal(getattr(x, op)(), getattr(same, op)()), op
    for op in ("exp_", "tanh_", "neg_"):
        getattr(x, op)()
        getattr(same, op)()
        assert taut.equal(x, same), op
    assert taut.equal(x.add_(x), same.add_(same)) and taut.equal(x.mul_(3), same.mul_(3))


def test_strides_are_kept():
    a = np.arange(12.0).reshape(3, 4)
    for view in (a.T, a[::2], a[:, 1:3], np.broadcast_to(a[:1], (3, 4)).copy()):
        assert taut.from_numpy(view).tolist() == view.tolist()
    x = taut.arange(12).view(3, 4)
    assert x.T.numpy().tolist() == x.T.tolist() and x.T.numpy().strides == (8, 32)
    assert x[:, ::2].numpy().tolist() == x[:, ::2].tolist()


def test_lifetimes(no_leak):
    a = taut.ones(1000).numpy()
    gc.collect()
    assert a.sum() == 1000
    x = taut.from_numpy(np.full(1000, 2.0))
    gc.collect()
    assert x.sum().item() == 2000
    y = x[5:]
    del x
    gc.collect()
    assert y[0].item() == 2.0


def test_arrays_that_do_not_fit():
    with pytest.raises(ValueError, match="stride"):
        taut.from_numpy(np.arange(3)[::-1])
    for bad in (np.array(["a"]), np.array([1j]), np.array([object()]), np.zeros(2, dtype=">f4"), np.zeros(2, dtype="u4")):
        with pytest.raises(TypeError):
            taut.from_numpy(bad)
    with pytest.raises(TypeError):
        taut.from_numpy([1, 2])
    frozen = np.ones(2)
    frozen.flags.writeable = False
    with pytest.warns(UserWarning, match="read-only"):
        taut.from_numpy(frozen)


def test_bools_of_numpy_that_are_neither_0_nor_1():
    odd = np.array([[0, 1, 2], [255, 0, 128]], dtype=np.uint8).view(bool)
    for array in (odd, odd.T, odd[:, 1:]):
        true = [[bool(value) for value in row] for row in array]
        copy = taut.tensor(array)
        with pytest.warns(UserWarning, match="neither 0 nor 1"):
            shared = [make(array) for make in (taut.from_numpy, taut.as_tensor, taut.from_dlpack)]
        for x in (copy, *shared):
            assert x.dtype == taut.bool and x.tolist() == true
            assert x.sum().item() == array.sum()
            assert x.int().tolist() == array.astype(int).tolist()
            assert (x == taut.tensor(true)).all() and not (x ^ taut.tensor(true)).any()
            assert x.numpy().view(np.uint8).max() == 1
    plain = np.array([True, False])
    x = taut.from_numpy(plain)
    plain[1] = True
    assert x.all()


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_scalars_of_numpy_keep_their_dtype(dtype):
    number = np.dtype(dtype).type(1)
    for make in (taut.tensor, taut.as_tensor):
        assert make(number).dtype.name == dtype and make(number).shape == ()
        assert make([[number], [number]]).dtype.name == dtype
    assert taut.tensor(number, dtype=taut.float16).dtype is taut.float16
    assert taut.tensor([taut.tensor(number)]).dtype.name == dtype


def test_numbers_of_a_list_meet_in_one_dtype():
    for numbers, dtype in (
        ([np.float64(1), 2], taut.float64),
        ([np.int8(1), 2], taut.int64),
        ([np.int8(1), True], taut.int8),
        ([1.0, np.float16(1)], taut.float32),
        ([np.float16(1), np.int64(3)], taut.float16),
        ([[np.float32(1)], [np.float64(2)]], taut.float64),
        ([taut.tensor(1.0, dtype=taut.float64), 1], taut.float64),
    ):
        assert taut.tensor(numbers).dtype is dtype, numbers
    assert taut.tensor(np.float64(1e-300)).item() == 1e-300
    assert taut.tensor([np.int64(2**62 + 1)]).item() == 2**62 + 1
    for number in (np.uint16(3), np.complex64(1)):
        with pytest.raises(TypeError, match=f"a number of {number.dtype}"):
            taut.tensor([number])
    assert taut.tensor(np.uint16(3), dtype=taut.int32).item() == 3


@pytest.mark.parametrize("array", [np.zeros((0, 3))[:, ::2], np.zeros((3, 0)).T, np.zeros((4, 0, 6))[::2, :, ::3]])
def test_empty_arrays_have_any_view(array):
    x = taut.from_numpy(array)
    assert x.is_contiguous() and x.view(-1).shape == (0,) and x.view(7, 0, 2).shape == (7, 0, 2)
    assert x.view(*x.shape).shape == array.shape


def test_numpy_refusals():
    with pytest.raises(RuntimeError, match="detach"):
        taut.ones(2, requires_grad=True).numpy()
    assert taut.ones(2, requires_grad=True).numpy(force=True).tolist() == [1, 1]
    with pytest.raises(TypeError, match="bfloat16"):
        taut.ones(2, dtype=taut.bfloat16).numpy()


def test_array_protocol():
    x = taut.ones(2)
    assert np.asarray(x).dtype == np.float32
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert np.array(x).tolist() == [1, 1]
    assert np.add(x.numpy(), 1).tolist() == [2, 2]


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_dlpack_with_numpy(dtype):
    x = taut.tensor([[0, 1], [1, 1]]).to(getattr(taut, dtype))
    a = np.from_dlpack(x)
    assert a.dtype == dtype and a.tolist() == x.tolist()
    assert a.__array_interface__["data"][0] == x.data_ptr()
    y = taut.from_dlpack(np.ascontiguousarray(a).copy())
    assert taut.equal(x, y)


def test_dlpack_capsules(no_leak):
    x = taut.ones(3)
    assert 'capsule object "dltensor"' in repr(x.__dlpack__())
    assert 'capsule object "dltensor_versioned"' in repr(x.__dlpack__(max_version=(1, 0)))
    assert x.__dlpack_device__() == (1, 0)
    for version in (None, (1, 0)):
        capsule = x.__dlpack__(max_version=version)
        y = taut.from_dlpack(capsule)
        assert y.data_ptr() == x.data_ptr()
        with pytest.raises(ValueError):
            taut.from_dlpack(capsule)
    copied = taut.from_dlpack(x.__dlpack__(copy=True))
    assert copied.data_ptr() != x.data_ptr()
    z = taut.from_dlpack(x)
    del x, y, capsule
    gc.collect()
    assert z.tolist() == [1, 1, 1]
    with pytest.raises(TypeError):
        taut.from_dlpack(3)
    with pytest.raises(RuntimeError):
        taut.ones(1, requires_grad=True).__dlpack__()


def test_torch():
    torch = pytest.importorskip("torch")
    for dtype in ("float32", "bfloat16", "float16", "bool", "int64", "uint8"):
        theirs = torch.arange(6).view(2, 3).to(getattr(torch, dtype))
        mine = taut.from_dlpack(theirs)
        assert mine.dtype.name == dtype and mine.tolist() == theirs.tolist()
        assert mine.data_ptr() == theirs.data_ptr()
        back = torch.from_dlpack(mine.T)
        assert back.tolist() == theirs.T.tolist() and back.data_ptr() == theirs.data_ptr()
