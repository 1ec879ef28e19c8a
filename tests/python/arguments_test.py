"""Flexible arguments, defaults and what is said when they do not fit."""

import numpy as np
import pytest

import taut


def test_sizes_as_items_or_tuple():
    for x in (taut.zeros(2, 3), taut.zeros((2, 3)), taut.zeros([2, 3]), taut.zeros(size=(2, 3)), taut.zeros(taut.Size([2, 3]))):
        assert x.shape == (2, 3)
    assert taut.zeros(()).shape == () and taut.zeros([]).shape == () and taut.zeros(4).shape == (4,)
    y = taut.arange(6)
    assert y.view(2, 3).shape == y.view((2, 3)).shape == y.view(-1, 3).shape == (2, 3)
    assert y.reshape(3, -1).shape == (3, 2)
    assert taut.zeros(1, 2, 3).permute(2, 0, 1).shape == taut.zeros(1, 2, 3).permute((2, 0, 1)).shape == (3, 1, 2)
    assert taut.ones(1).expand(2, -1).shape == (2, 1)
    assert taut.zeros(np.int64(2), taut.tensor(3)).shape == (2, 3)


def test_dims_as_int_or_tuple():
    x = taut.ones(2, 3, 4)
    assert x.sum(1).shape == (2, 4)
    assert x.sum((0, 2)).shape == (3,)
    assert x.sum([0, 2], keepdim=True).shape == (1, 3, 1)
    assert x.sum(dim=None).item() == 24
    assert x.sum(axis=0, keepdims=True).shape == (1, 3, 4)
    assert taut.sum(input=x, dim=-1).shape == (2, 3)
    assert taut.sum(x=x).item() == 24


def test_options():
    x = taut.ones(2, dtype=taut.int32)
    assert x.dtype is taut.int32
    assert taut.zeros(2, dtype=float).dtype is taut.float64
    assert taut.zeros(2, dtype=int).dtype is taut.int64
    assert taut.zeros(2, device="cpu").device == taut.device("cpu")
    assert taut.zeros(2, requires_grad=True).requires_grad
    assert taut.zeros(2, pin_memory=False, layout=taut.strided).shape == (2,)
    assert taut.ones_like(x).dtype is taut.int32
    assert taut.ones_like(x, dtype=taut.float16).dtype is taut.float16


def test_to_forms():
    x = taut.ones(2)
    assert x.to(taut.float64).dtype is taut.float64
    assert x.to("cpu") is x
    assert x.to("cpu", taut.int64).dtype is taut.int64
    assert x.to(device="cpu", dtype=taut.bool).dtype is taut.bool
    assert x.to(taut.ones(1, dtype=taut.float16)).dtype is taut.float16
    assert x.to(taut.float32, copy=True) is not x
    assert x.double().float().int().long().half().bfloat16().bool().dtype is taut.bool
    assert x.type() == "taut.float32" and x.type(taut.int8).dtype is taut.int8


def test_tensor_from_data():
    assert taut.tensor(1).dtype is taut.int64
    assert taut.tensor(1.0).dtype is taut.float32
    assert taut.tensor(True).dtype is taut.bool
    assert taut.tensor([1, 2.5]).dtype is taut.float32
    assert taut.tensor([True, 2]).dtype is taut.int64
    assert taut.tensor([]).shape == (0,) and taut.tensor([]).dtype is taut.float32
    assert taut.tensor([[], []]).shape == (2, 0)
    assert taut.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert taut.tensor(range(3)).tolist() == [0, 1, 2]
    assert taut.tensor([2**53 + 1]).item() == 2**53 + 1
    assert taut.tensor([taut.tensor(1), taut.tensor(2)]).tolist() == [1, 2]
    assert taut.tensor([np.ones(2), np.zeros(2)]).dtype is taut.float64
    assert taut.tensor(np.float32(1)).dtype is taut.float32 or taut.tensor(np.float32(1)).dtype is taut.float64
    x = taut.ones(2)
    y = taut.tensor(x)
    y[0] = 5
    assert x[0] == 1
    taut.set_default_dtype(taut.float64)
    assert taut.tensor(1.0).dtype is taut.float64


@pytest.mark.parametrize("bad", [[[1], [2, 3]], [1, [2]], [[1], 2]])
def test_ragged_lists(bad):
    with pytest.raises(ValueError, match="tensor: "):
        taut.tensor(bad)


@pytest.mark.parametrize("bad", ["abc", {"a": 1}, object(), [None], ["x"]])
def test_data_of_other_kinds(bad):
    with pytest.raises((TypeError, ValueError)):
        taut.tensor(bad)


def test_results_with_names():
    x = taut.tensor([[1.0, 3.0], [4.0, 2.0]])
    result = x.max(1)
    assert result.values.tolist() == [3, 4] and result.indices.tolist() == [1, 0]
    values, indices = taut.sort(x, descending=True)
    assert values.tolist() == [[3, 1], [4, 2]]
    assert type(result).__name__ == "max"
    assert taut.max(x, taut.zeros(2)).shape == (2, 2)
    assert x.max().item() == 4


def test_messages_name_the_argument():
    with pytest.raises(TypeError, match="'tensors' must be Sequence"):
        taut.cat(3)
    with pytest.raises(TypeError, match="no argument 'foo'"):
        taut.exp(taut.ones(1), foo=1)
    with pytest.raises(TypeError, match="'input' is missing"):
        taut.exp()
    with pytest.raises(TypeError, match=r"no form takes \(Tensor, str\)"):
        taut.add(taut.ones(1), "a")
    with pytest.raises(TypeError, match="two values for 'input'"):
        taut.exp(taut.ones(1), input=taut.ones(1))


def test_bool_is_no_dim():
    with pytest.raises(TypeError):
        taut.ones(2).sum(True)


def test_none_is_no_tensor():
    with pytest.raises(TypeError):
        taut.exp(None)
    with pytest.raises(TypeError):
        taut.add(taut.ones(1), None)
    with pytest.raises(TypeError):
        taut.cat([taut.ones(1), None])


def test_small_values():
    assert repr(taut.float32) == "taut.float32" and taut.double is taut.float64
    assert taut.float16.itemsize == 2 and taut.bfloat16.is_floating_point and not taut.uint8.is_signed
    with pytest.raises(TypeError):
        taut.dtype()
    assert repr(taut.device("cuda")) == "device(type='cuda', index=0)"
    assert repr(taut.device("cpu")) == "device(type='cpu')" and str(taut.device("cuda:1")) == "cuda:1"
    assert taut.device("cuda", 1) == taut.device("cuda:1") and taut.device(1).index == 1
    assert len({taut.device("cpu"), taut.device("cpu"), taut.device("cuda:0")}) == 2
    with pytest.raises(RuntimeError, match="nope"):
        taut.device("nope")
    size = taut.Size([2, 3, 4])
    assert size.numel() == 24 and size == (2, 3, 4) and repr(size[1:]) == "taut.Size([3, 4])"
    assert isinstance(size + (1,), taut.Size) and size[-1] == 4
    assert taut.finfo(taut.float32).eps == 2**-23 and taut.finfo(taut.bfloat16).max > 3e38
    assert taut.iinfo(taut.uint8).max == 255 and taut.iinfo(taut.int16).min == -32768
    assert taut.promote_types(taut.int64, taut.float16) is taut.float16
    assert taut.result_type(taut.ones(1, dtype=taut.int8), 1.5) is taut.float32


def test_promotion_table_matches_numpy_where_both_agree():
    names = ["bool", "uint8", "int8", "int16", "int32", "int64", "float64"]
    for a in names:
        for b in names:
            mine = taut.promote_types(getattr(taut, a), getattr(taut, b)).name
            assert mine == np.promote_types(a, b).name, (a, b)
            x = taut.ones(1, dtype=getattr(taut, a)) * taut.ones(1, dtype=getattr(taut, b))
            assert x.dtype.name == mine


@pytest.mark.parametrize("name", ["tolist", "stride", "type", "numpy", "__dlpack__", "add", "view"])
def test_methods_taken_from_the_class_want_a_tensor(name):
    method = getattr(taut.Tensor, name)
    for args in ((), (3,), (None,), ([1.0],)):
        with pytest.raises(TypeError, match=f"Tensor.{name}: the first argument must be a Tensor"):
            method(*args)
