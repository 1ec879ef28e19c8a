"""taut.CustomOp, taut.ops and taut.load_library."""

import gc
import itertools
import sys
import weakref
from pathlib import Path

import pytest

import taut

PLUGINS = Path(taut.__file__).parents[2] / "tests" / "plugins"  # of the build that this package belongs to
numbers = itertools.count()


def new_name():
    """A new one in each call, since names are never free again."""
    return f"python_test::op{next(numbers)}"


def doubles(*values):
    return taut.tensor(values, dtype=taut.float64, requires_grad=True)


def cube(x):
    return x * x * x


def cube_saving(ctx, x):
    ctx.save_for_backward(x)
    return cube(x)


def cube_backward(ctx, grad):
    (x,) = ctx.saved_tensors
    return 3 * x * x * grad


def test_its_own_backward_is_used():
    calls = []

    def backward(ctx, grad):
        calls.append(ctx.needs_input_grad[0])
        return cube_backward(ctx, grad)

    op = taut.CustomOp(new_name(), ["x"], cpu=cube_saving, backward=backward, differentiable_backward=True)
    x = doubles(-1, 0.5, 2)
    y = op(x)
    assert isinstance(y, taut.Tensor) and y.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [3, 0.75, 12] and calls == [True]
    assert taut.autograd.gradcheck(op, (x,)) and taut.autograd.gradgradcheck(op, (x,))


def test_the_composed_version_gives_what_is_missing():
    def backward(ctx, grad):
        with taut.no_grad():
            return cube_backward(ctx, grad)

    x = doubles(-1, 0.5, 2)
    for parts in (dict(composed=cube), dict(cpu=cube_saving, composed=cube), dict(cpu=cube_saving, backward=backward, composed=cube)):
        op = taut.CustomOp(new_name(), ["x"], **parts)
        assert op(x).tolist() == [-1, 0.125, 8]
        assert taut.autograd.gradcheck(op, (x,)) and taut.autograd.gradgradcheck(op, (x,))


def test_what_is_missing_is_named():
    x = doubles(1)
    nothing = taut.CustomOp(new_name(), ["x"])
    with pytest.raises(NotImplementedError, match=f"{nothing.name}: it has no version for cpu"):
        nothing(x)
    constant = taut.CustomOp(new_name(), ["x"], cpu=cube_saving)
    with pytest.raises(NotImplementedError, match="no derivative on cpu"):
        constant(x).backward()
    once = taut.CustomOp(new_name(), ["x"], cpu=cube_saving, backward=cube_backward)
    with pytest.raises(NotImplementedError, match="no second derivative"):
        taut.autograd.grad(once(x).sum(), x, create_graph=True)


def test_decorators_add_versions():
    op = taut.CustomOp(new_name(), ["x"], composed=cube)

    @op.implement("cpu", backward=lambda ctx, grad: grad * 7)
    def version(ctx, x):
        return x * 2

    assert version(None, 1) == 2
    x = doubles(3)
    y = op(x)
    assert y.item() == 6 and taut.autograd.grad(y, x)[0].item() == 7
    with pytest.raises(ValueError, match=r"has a version for cpu already, from .*custom_op_test.py:\d+; another at"):
        op.implement("cpu", version)
    with pytest.raises(taut.DeviceError):
        op.implement("tpu", version)


def test_inputs_and_attributes():
    seen = []

    def composed(x, bias, *, scale, times, is_shifted):
        seen.append((scale, times, is_shifted))
        y = x * (scale * times)
        return y if bias is None else y + bias

    op = taut.CustomOp(
        new_name(), ["x", "bias?"], attributes={"scale": 0.5, "times": 2, "is_shifted": False}, composed=composed,
    )
    x = taut.ones(2)
    assert op(x).tolist() == [1, 1] and op(x, x).tolist() == [2, 2] and op(x, bias=x).tolist() == [2, 2]
    assert op(x=x, scale=2, is_shifted=True).tolist() == [4, 4]
    assert seen[-1] == (2.0, 2, True) and [type(value) for value in seen[-1]] == [float, int, bool]
    assert repr(op) == f"<taut.CustomOp {op.name}(x, bias?, scale=0.5, times=2, is_shifted=False)>"
    for call, kind, words in (
        (lambda: op(), TypeError, "misses its input 'x'"),
        (lambda: op(x, x, x), ValueError, "it has 2 inputs; got 3"),
        (lambda: op(None), ValueError, "x is undefined"),
        (lambda: op(3), TypeError, "input 0 is a int"),
        (lambda: op(x, size=3), ValueError, "no attribute 'size'; it has: scale, times, is_shifted"),
        (lambda: op(x, times=1.5), ValueError, "times is 1.5; expected an integer"),
        (lambda: op(x, scale="a"), TypeError, "scale is a str; attributes are bools, ints and floats"),
    ):
        with pytest.raises(kind, match=words):
            call()


def test_check_comes_first():
    def check(x, *, most):
        if x.numel() > most:
            raise taut.ShapeError(f"at most {most}")

    op = taut.CustomOp(new_name(), ["x"], attributes={"most": 2}, check=check, cpu=lambda ctx, x, most: x + 1)
    assert op(taut.zeros(2)).tolist() == [1, 1]
    with pytest.raises(taut.ShapeError, match="at most 2"):
        op(taut.zeros(3))
    assert op(taut.zeros(3), most=3).shape == (3,)


def test_several_outputs():
    def forward(ctx, x):
        rounded = x.floor()
        ctx.mark_non_differentiable(rounded)
        return x * 2, rounded, x > 0

    def backward(ctx, grad, rounded_grad, sign_grad):
        return grad * 2

    op = taut.CustomOp(new_name(), ["x"], cpu=forward, backward=backward)
    doubled, rounded, sign = op(doubles(0.5, -1.5))
    assert doubled.requires_grad and not rounded.requires_grad and sign.tolist() == [True, False]


def test_wrong_results_are_named():
    x = doubles(1)
    bad = taut.CustomOp(new_name(), ["x"], cpu=lambda ctx, x: 3, backward=lambda ctx, grad: (grad, grad))
    with pytest.raises(TypeError, match="forward must return tensors; got a int"):
        bad(x)
    bad = taut.CustomOp(new_name(), ["x"], cpu=lambda ctx, x: x * 1, backward=lambda ctx, grad: (grad, grad))
    with pytest.raises(taut.AutogradError, match="returned 2 gradients; expected 1"):
        bad(x).backward()
    writes = taut.CustomOp(new_name(), ["x"], cpu=lambda ctx, x: x.add_(1))
    with pytest.raises(ValueError, match="forward wrote to x in place"):
        writes(taut.zeros(1))


def test_errors_of_functions_come_through():
    def broken(*_, **__):
        raise ZeroDivisionError("mine")

    op = taut.CustomOp(new_name(), ["x"], cpu=cube_saving, backward=broken)
    with pytest.raises(ZeroDivisionError, match="mine"):
        op(doubles(1)).backward()
    with pytest.raises(ZeroDivisionError, match="mine"):
        taut.CustomOp(new_name(), ["x"], cpu=broken)(taut.zeros(1))


def test_a_context_serves_its_call_alone():
    kept = []

    def forward(ctx, x):
        kept.append(ctx)
        if x.numel() == 0:
            raise KeyError("empty")
        return x * 1

    op = taut.CustomOp(new_name(), ["x"], cpu=forward)
    op(taut.zeros(1))
    with pytest.raises(KeyError):
        op(taut.zeros(0))
    for ctx in kept:
        with pytest.raises(ValueError, match="inside forward and backward only"):
            ctx.save_for_backward(taut.zeros(1))


def test_saved_tensors_are_guarded():
    op = taut.CustomOp(new_name(), ["x"], cpu=cube_saving, backward=cube_backward)
    x = doubles(1, 2) * 1
    y = op(x).sum()
    x.add_(1)
    with pytest.raises(taut.AutogradError, match=op.name):
        y.backward()


def test_checkpoints_compute_it_again():
    from taut.utils.checkpoint import checkpoint

    op = taut.CustomOp(new_name(), ["x"], cpu=cube_saving, backward=cube_backward, composed=cube)
    x = doubles(1, 2)
    checkpoint(lambda x: op(x).exp(), x, use_reentrant=False).sum().backward()
    assert taut.allclose(x.grad, 3 * x.detach() ** 2 * cube(x.detach()).exp())


def test_autocast():
    same = dict(cpu=lambda ctx, x: x * 1, backward=lambda ctx, grad: grad)
    x = taut.ones(2, requires_grad=True)
    for policy, dtype in ((None, taut.float32), ("lower_dtype", taut.bfloat16), ("float32", taut.float32)):
        op = taut.CustomOp(new_name(), ["x"], autocast=policy, **same)
        with taut.autocast("cpu", dtype=taut.bfloat16):
            y = op(x)
        assert y.dtype is dtype and taut.autograd.grad(y.sum(), x)[0].dtype is taut.float32
    with pytest.raises(ValueError, match="got 'half'; expected 'lower_dtype'"):
        taut.CustomOp(new_name(), ["x"], autocast="half")


def test_names():
    name = new_name()
    op = taut.CustomOp(name, ["x"], composed=cube)
    found = getattr(taut.ops.python_test, op.__name__)
    assert found.name == name and found(taut.tensor([2.0])).item() == 8 and found is getattr(taut.ops.python_test, op.__name__)
    assert taut.CustomOp.find(name)(taut.tensor([2.0])).item() == 8
    assert name in taut.ops.names() and op.__name__ in dir(taut.ops.python_test) and "python_test" in dir(taut.ops)
    assert "python_test" in repr(taut.ops.python_test)
    with pytest.raises(ValueError, match=r"registered already, at .*custom_op_test.py:\d+; again at .*custom_op_test.py:\d+"):
        taut.CustomOp(name, ["x"])
    for bad in ("op", "a::b::c", "a b::c", "taut::op"):
        with pytest.raises(ValueError, match=bad):
            taut.CustomOp(bad, ["x"])
    with pytest.raises(AttributeError, match="no 'python_test::absent'"):
        taut.ops.python_test.absent
    with pytest.raises(AttributeError, match="taut.ops has no 'absent'; ops are registered in: .*python_test"):
        taut.ops.absent
    with pytest.raises(ValueError, match="no 'python_test::absent'"):
        taut.CustomOp.find("python_test::absent")


def test_calls_leave_nothing_behind(no_leak):
    class Held:
        pass

    held = Held()
    op = taut.CustomOp(new_name(), ["x"], cpu=cube_saving, backward=cube_backward, composed=cube)
    alive = weakref.ref(held)
    hook = doubles(1, 2)
    op(hook).sum().backward()
    taut.autograd.grad(op(hook).sum(), hook, create_graph=True)
    del held, hook
    gc.collect()
    assert alive() is None


def test_plugins():
    path = PLUGINS / "square_plugin.so"
    if not path.exists():
        pytest.skip(f"{path} is not built")
    assert taut.load_library(path) in (("plugin_test::square",), ())
    assert taut.load_library(str(path)) == ()
    square = taut.ops.plugin_test.square
    x = doubles(-1, 3)
    assert square(x, scale=2).tolist() == [2, 18]
    assert taut.autograd.gradcheck(square, (x,)) and taut.autograd.gradgradcheck(square, (x,))
    with pytest.raises(taut.DTypeError, match="expected float64"):
        square(x.float())
    with pytest.raises(ValueError, match="registered already"):
        taut.load_library(PLUGINS / "repeated_plugin.so")
    assert "plugin_test::first" not in taut.ops.names()
    for name, words in (("foreign_plugin", "no plugin of Taut"), ("older_plugin", "built for another Taut")):
        with pytest.raises(ValueError, match=words):
            taut.load_library(PLUGINS / f"{name}.so")
    with pytest.raises(OSError, match="No such file"):
        taut.load_library("absent.so")
    with pytest.raises(ValueError, match="no plugin of Taut"):
        taut.load_library(sys.executable)
