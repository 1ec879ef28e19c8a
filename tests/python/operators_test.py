"""Operators, numbers and the protocols of Python on tensors."""

import copy
import operator
import pickle
import weakref

import numpy as np
import pytest

import taut

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]
COMPARE = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
BITS = [operator.and_, operator.or_, operator.xor]


@pytest.mark.parametrize("op", BINARY + COMPARE)
def test_binary_operators_take_tensors_and_numbers_on_both_sides(op):
    a = np.array([1.5, -2.0, 3.0, 4.0])
    b = np.array([2.0, 2.0, 1.0, 4.0])
    x, y = taut.tensor(a), taut.tensor(b)
    np.testing.assert_allclose(op(x, y).numpy(), op(a, b))
    np.testing.assert_allclose(op(x, 2.0).numpy(), op(a, 2.0))
    np.testing.assert_allclose(op(2.0, y).numpy(), op(2.0, b))
    np.testing.assert_allclose(op(x, 2).numpy(), op(a, 2))


@pytest.mark.parametrize("op", BITS)
def test_bit_operators(op):
    a, b = np.array([1, 2, 7]), np.array([3, 2, 9])
    np.testing.assert_array_equal(op(taut.tensor(a), taut.tensor(b)).numpy(), op(a, b))
    np.testing.assert_array_equal(op(taut.tensor(a), 3).numpy(), op(a, 3))
    np.testing.assert_array_equal(op(3, taut.tensor(a)).numpy(), op(3, a))
    p, q = taut.tensor([True, False]), taut.tensor([True, True])
    assert op(p, q).dtype is taut.bool
    assert op(p, q).tolist() == op(np.array([True, False]), np.array([True, True])).tolist()


def test_shifts_invert_and_unary():
    x = taut.tensor([1, -2, 3])
    assert (x << 2).tolist() == [4, -8, 12]
    assert (x >> 1).tolist() == [0, -1, 1]
    assert (~x).tolist() == [-2, 1, -4]
    assert (~taut.tensor([True, False])).tolist() == [False, True]
    assert (-x).tolist() == [-1, 2, -3]
    assert abs(x).tolist() == [1, 2, 3]
    assert (+x).tolist() == [1, -2, 3]


@pytest.mark.parametrize(
    "op",
    [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod, operator.ipow],
)
def test_in_place_operators_keep_the_object(op):
    for other in (taut.tensor([2.0, 3.0]), 2.0, 3):
        x = taut.tensor([5.0, 7.0])
        expected = op(np.array([5.0, 7.0]), other.numpy() if isinstance(other, taut.Tensor) else other)
        y = op(x, other)
        assert y is x
        np.testing.assert_allclose(x.numpy(), expected)


def test_matmul_operator():
    a, b = np.random.rand(3, 4), np.random.rand(4, 2)
    np.testing.assert_allclose((taut.tensor(a) @ taut.tensor(b)).numpy(), a @ b)
    with pytest.raises(TypeError):
        taut.ones(2) @ 3


def test_numpy_operands():
    x = taut.ones(3, dtype=taut.float64)
    assert isinstance(x + np.ones(3), taut.Tensor)
    assert (x * np.float64(2)).tolist() == [2, 2, 2]
    assert isinstance(np.float64(2) * x, taut.Tensor)
    assert (x * np.int64(3)).dtype is taut.float64
    assert (taut.ones(2, dtype=taut.float32) * np.float32(2)).dtype is taut.float32


def test_foreign_operands_are_refused():
    for op in BINARY:
        with pytest.raises(TypeError):
            op(taut.ones(2), "a")
        with pytest.raises(TypeError):
            op([1], taut.ones(2))
    assert (taut.ones(2) == None) is False  # noqa: E711
    assert (taut.ones(2) != "a") is True


def test_huge_ints_overflow():
    with pytest.raises(OverflowError):
        taut.ones(2) + 2**70


def test_truth_and_numbers():
    assert bool(taut.tensor(3)) and not bool(taut.tensor([0.0]))
    with pytest.raises(RuntimeError):
        bool(taut.ones(2))
    assert float(taut.tensor(1.5)) == 1.5
    assert int(taut.tensor(2.7)) == 2
    assert [10, 11, 12][taut.tensor(1)] == 11
    with pytest.raises(TypeError):
        [1][taut.tensor(0.0)]
    assert range(taut.tensor(3))[-1] == 2
    assert taut.tensor([[2.5]]).item() == 2.5
    assert type(taut.tensor(True).item()) is bool and type(taut.tensor(1).item()) is int


def test_sequence_protocol():
    x = taut.arange(6).view(3, 2)
    assert len(x) == 3
    assert [row.tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    assert 4 in x and 9 not in x
    assert [row.tolist() for row in reversed(x)] == [[4, 5], [2, 3], [0, 1]]
    for bad in (len, iter):
        with pytest.raises(TypeError):
            bad(taut.tensor(1.0))
    a, b = taut.tensor([1, 2])
    assert (a.item(), b.item()) == (1, 2)


def test_hash_is_identity():
    x, y = taut.ones(2), taut.ones(2)
    assert hash(x) != hash(y) and {x: 1}[x] == 1
    assert x in {x} and len({x, y}) == 2


def test_format():
    assert f"{taut.tensor(3.14159):.2f}" == "3.14"
    assert f"{taut.tensor(7):03d}" == "007"
    assert f"{taut.tensor([1, 2])}" == "tensor([1, 2])"


def test_copies():
    x = taut.ones(2, requires_grad=True)
    shallow, deep = copy.copy(x), copy.deepcopy(x)
    assert shallow.data_ptr() == x.data_ptr() and deep.data_ptr() != x.data_ptr()
    assert deep.requires_grad and deep.is_leaf
    same = copy.deepcopy([x, x])
    assert same[0] is same[1]
    with pytest.raises(RuntimeError):
        copy.deepcopy(x * 2)


def test_deepcopy_takes_the_gradient_along():
    x = taut.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    y = copy.deepcopy(x)
    assert y.grad.tolist() == [3, 3] and y.grad is not x.grad


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"])
def test_pickle(dtype):
    x = taut.tensor([[0, 1], [1, 0]]).to(getattr(taut, dtype))
    y = pickle.loads(pickle.dumps(x))
    assert y.dtype is x.dtype and taut.equal(x, y)
    assert pickle.loads(pickle.dumps(x.dtype)) is x.dtype


def test_pickle_of_small_values():
    for value in (taut.Size([2, 3]), taut.device("cuda:1"), taut.device("cpu")):
        assert pickle.loads(pickle.dumps(value)) == value
    for op in (taut.add, taut.nn.functional.relu, taut.Tensor.add):
        assert pickle.loads(pickle.dumps(op)) is op


def test_one_object_per_tensor():
    x = taut.ones(2, requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad is x.grad
    v = x.detach().view(2)
    assert v._base is v._base


class Tagged(taut.Tensor):
    pass


def test_state_of_subclasses_outlives_the_python_reference():
    x = Tagged([1.0, 2.0])
    x.tag = "kept"
    view = x.view(2)
    for _ in range(3):
        del x
        x = view._base
        assert type(x) is Tagged and x.tag == "kept"
    reference = weakref.ref(x)
    del x
    held = reference()
    del view
    assert held.tag == "kept" and held.tolist() == [1.0, 2.0]
    del held
    assert reference() is None


def test_attributes_of_plain_tensors_stay():
    x = taut.ones(2)
    x.note = [1]
    view = x.view(2)
    del x
    assert view._base.note == [1]


def test_subclass_methods_and_constructor():
    x = Tagged(taut.ones(2))
    assert isinstance(x, taut.Tensor) and x.sum().item() == 2
    assert repr(x) == "tensor([1., 1.])"
    assert pickle.loads(pickle.dumps(x)).__class__ is Tagged


def test_tab_completion():
    assert {"shape", "sum", "backward", "add_"} <= set(dir(taut.ones(1)))
    assert {"zeros", "nn", "float32", "no_grad"} <= set(dir(taut))
    assert "relu" in dir(taut.nn.functional)


def test_functions_do_not_bind_and_methods_do():
    class Holder:
        act = taut.exp

    assert Holder().act(taut.zeros(1)).item() == 1.0
    assert taut.Tensor.exp(taut.zeros(1)).item() == 1.0
    assert list(map(taut.Tensor.item, [taut.tensor(1), taut.tensor(2)])) == [1, 2]
