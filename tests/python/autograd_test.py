"""The tape from Python."""

import gc
import weakref

import pytest

import taut
from taut.autograd import Function
from taut.utils.checkpoint import checkpoint, checkpoint_sequential


def test_backward_and_accumulation():
    x = taut.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4]
    (x * x).sum().backward()
    assert x.grad.tolist() == [4, 8]
    x.grad = None
    assert x.grad is None
    y = x * x
    y.backward(taut.tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2, 40]
    with pytest.raises(RuntimeError):
        y.backward(taut.ones(2))
    with pytest.raises(RuntimeError):
        (x * 2).backward()
    with pytest.raises(RuntimeError):
        taut.ones(1).backward()


def test_grad_function():
    x = taut.tensor(3.0, requires_grad=True)
    z = taut.tensor(1.0, requires_grad=True)
    (gx,) = taut.autograd.grad(x**3, x, create_graph=True)
    (ggx,) = taut.autograd.grad(gx, x)
    assert gx.item() == 27 and ggx.item() == 18 and x.grad is None
    with pytest.raises(RuntimeError):
        taut.autograd.grad(x * 2, z)
    assert taut.autograd.grad(x * 2, [x, z], allow_unused=True)[1] is None
    assert taut.autograd.grad(x * 2, z, materialize_grads=True)[0].item() == 0


def test_batched_grad():
    x = taut.tensor([1.0, 2.0, 3.0], dtype=taut.float64, requires_grad=True)
    z = taut.tensor(1.0, requires_grad=True)
    y = x**3
    jacobian, unused = taut.autograd.grad(
        y, [x, z], taut.eye(3, dtype=taut.float64), create_graph=True, is_grads_batched=True, allow_unused=True
    )
    assert jacobian.tolist() == [[3, 0, 0], [0, 12, 0], [0, 0, 27]] and unused is None
    (second,) = taut.autograd.grad(jacobian.sum(), x)
    assert second.tolist() == [6, 12, 18]
    # The last walk frees the graph, as one alone does.
    y = x.exp()
    taut.autograd.grad(y, x, taut.ones(2, 3, dtype=taut.float64), is_grads_batched=True)
    with pytest.raises(RuntimeError):
        taut.autograd.grad(y.sum(), x)
    for starts in (None, taut.ones(()), taut.ones(0, 3)):
        with pytest.raises(ValueError, match="is_grads_batched"):
            taut.autograd.grad(x.exp(), x, starts, is_grads_batched=True)


def test_attributes():
    x = taut.ones(2, requires_grad=True)
    y = x.exp()
    assert x.is_leaf and not y.is_leaf and y.requires_grad
    assert x.grad_fn is None and y.grad_fn.name() == "ExpBackward0"
    assert y.grad_fn.next_functions[0][0].name() == "AccumulateGrad"
    assert y.grad_fn == y.grad_fn
    y.retain_grad()
    y.sum().backward()
    assert y.grad.tolist() == [1, 1]
    x.requires_grad = False
    assert not x.requires_grad
    with pytest.raises(RuntimeError):
        taut.ones(2, dtype=taut.int64).requires_grad_()
    with pytest.raises((RuntimeError, TypeError)):
        x.requires_grad = "yes"
    with pytest.raises(RuntimeError):
        taut.ones(2).grad = taut.ones(3)
    z = taut.ones(2, requires_grad=True)
    z.data = taut.zeros(3)
    assert z.tolist() == [0, 0, 0] and z.requires_grad and z.is_leaf


def test_modes():
    x = taut.ones(1, requires_grad=True)
    with taut.no_grad():
        assert not (x * 2).requires_grad
        with taut.enable_grad():
            assert (x * 2).requires_grad
    with taut.inference_mode():
        assert taut.is_inference_mode_enabled()
        y = x * 2
    assert y.is_inference() and not taut.is_inference_mode_enabled()
    with taut.set_grad_enabled(False):
        assert not taut.is_grad_enabled()
    with taut.inference_mode(False):
        assert not taut.is_inference_mode_enabled()

    mode = taut.no_grad()
    with mode:
        with mode:
            assert not taut.is_grad_enabled()
        assert not taut.is_grad_enabled()
    assert taut.is_grad_enabled()


def test_modes_as_decorators():
    @taut.no_grad()
    def first():
        return taut.is_grad_enabled()

    @taut.no_grad
    def second():
        return taut.is_grad_enabled()

    @taut.inference_mode()
    def third():
        return taut.is_inference_mode_enabled()

    @taut.set_grad_enabled(False)
    def fourth():
        return taut.is_grad_enabled()

    @taut.no_grad()
    def generator():
        yield taut.is_grad_enabled()
        yield taut.is_grad_enabled()

    @taut.no_grad()
    def fails():
        raise KeyError

    assert not first() and not second() and third() and not fourth()
    for inside in generator():
        assert not inside and taut.is_grad_enabled()
    with pytest.raises(KeyError):
        fails()
    assert taut.is_grad_enabled() and first.__name__ == "first"


def test_hooks():
    x = taut.ones(2, requires_grad=True)
    seen = []
    handle = x.register_hook(lambda grad: seen.append(grad.tolist()))
    doubling = x.register_hook(lambda grad: grad * 2)
    after = x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf is x))
    x.sum().backward()
    assert seen == [[1, 1], True] and x.grad.tolist() == [2, 2]
    handle.remove()
    doubling.remove()
    after.remove()
    x.sum().backward()
    assert len(seen) == 2 and x.grad.tolist() == [3, 3]
    with pytest.raises(RuntimeError):
        taut.ones(1).register_hook(print)


def test_errors_in_hooks_come_through():
    x = taut.ones(1, requires_grad=True)
    handle = x.register_hook(lambda grad: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        (x * 2).sum().backward()
    handle.remove()
    x.register_hook(lambda grad: "no tensor")
    with pytest.raises(TypeError):
        (x * 2).sum().backward()


class Power(Function):
    @staticmethod
    def forward(ctx, x, n):
        ctx.save_for_backward(x)
        ctx.n = n
        return x**n

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * ctx.n * x ** (ctx.n - 1), None


def test_function():
    x = taut.rand(3, dtype=taut.float64, requires_grad=True)
    assert Power.apply(x, 3).grad_fn.name().startswith("Power")
    assert taut.autograd.gradcheck(lambda t: Power.apply(t, 3), x)
    assert taut.autograd.gradgradcheck(lambda t: Power.apply(t, 3), (x,))


def test_function_features():
    class Both(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.needs = ctx.needs_input_grad
            low, high = taut.minimum(x, y), taut.maximum(x, y)
            ctx.save_for_backward(x, y)
            index = (x > y).long()
            ctx.mark_non_differentiable(index)
            ctx.set_materialize_grads(False)
            return low, high, index

        @staticmethod
        def backward(ctx, low, high, index):
            assert index is None and high is None
            x, y = ctx.saved_tensors
            return low * (x < y), low * (x >= y)

    x, y = taut.tensor([1.0, 5.0], requires_grad=True), taut.tensor([2.0, 3.0])
    low, high, index = Both.apply(x, y)
    assert low.requires_grad and not index.requires_grad and index.dtype is taut.int64
    low.sum().backward()
    assert x.grad.tolist() == [1, 0] and y.grad is None


def test_function_with_setup_context():
    class Scale(Function):
        @staticmethod
        def forward(x, factor):
            return x * factor

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.factor = inputs[1]

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.factor, None

    x = taut.ones(2, requires_grad=True)
    Scale.apply(x, 4.0).sum().backward()
    assert x.grad.tolist() == [4, 4]


def test_function_errors():
    class TooMany(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return grad, grad

    class Fails(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            raise KeyError("here")

    class NoTensor(Function):
        @staticmethod
        def forward(ctx, x):
            return 3

    x = taut.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="expected 1"):
        TooMany.apply(x).backward()
    with pytest.raises(KeyError):
        Fails.apply(x).backward()
    with pytest.raises((TypeError, RuntimeError)):
        NoTensor.apply(x)
    with pytest.raises(NotImplementedError):
        Function.apply(x)


def test_in_place_writes_are_noticed():
    x = taut.ones(2, requires_grad=True)
    y = x.exp()
    y += 1
    with pytest.raises(RuntimeError, match="exp"):
        y.sum().backward()
    with pytest.raises(RuntimeError):
        x += 1


def test_functionals():
    x = taut.tensor([1.0, 2.0])
    assert taut.autograd.functional.jacobian(lambda t: t**2, x).tolist() == [[2, 0], [0, 4]]
    assert taut.autograd.functional.hessian(lambda t: (t**3).sum(), x).tolist() == [[6, 0], [0, 12]]
    value, vector = taut.autograd.functional.vjp(lambda t: t**2, x, taut.ones(2))
    assert value.tolist() == [1, 4] and vector.tolist() == [2, 4]
    value, vector = taut.autograd.functional.jvp(lambda t: t**2, x, taut.ones(2))
    assert vector.tolist() == [2, 4]
    rows = taut.autograd.functional.jacobian(lambda a, b: a * b, (x, x))
    assert rows[0].tolist() == [[1, 0], [0, 2]]


def test_gradcheck_finds_a_wrong_derivative():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 3

    x = taut.rand(2, dtype=taut.float64, requires_grad=True)
    with pytest.raises(RuntimeError):
        taut.autograd.gradcheck(Wrong.apply, x)
    assert not taut.autograd.gradcheck(Wrong.apply, x, raise_exception=False)


def test_checkpoint():
    x = taut.rand(4, requires_grad=True)
    calls = []

    def block(t, factor):
        calls.append(1)
        return (t * factor).exp()

    checkpoint(block, x, 2.0, use_reentrant=False).sum().backward()
    assert len(calls) == 2 and taut.allclose(x.grad, 2 * (2 * x).exp())
    x.grad = None
    checkpoint_sequential([taut.exp, taut.sin, taut.cos], 2, x).sum().backward()
    expected = taut.autograd.grad(x.exp().sin().cos().sum(), x)[0]
    assert taut.allclose(x.grad, expected)


def test_saved_tensor_hooks():
    packed = []

    def pack(tensor):
        packed.append(tensor.shape)
        return tensor.tolist()

    x = taut.tensor([1.0, 2.0], requires_grad=True)
    with taut.autograd.graph.saved_tensors_hooks(pack, taut.tensor):
        y = (x * x).sum()
    y.backward()
    assert packed and x.grad.tolist() == [2, 4]
    x.grad = None
    with taut.autograd.graph.save_on_cpu():
        y = x.exp().sum()
    y.backward()
    assert taut.allclose(x.grad, x.exp())


def test_anomaly_mode_names_the_line():
    x = taut.zeros(1, requires_grad=True)
    with taut.autograd.detect_anomaly():
        y = taut.sqrt(x) * 0  # the line that the error names
        with pytest.raises(RuntimeError, match="autograd_test.py"):
            y.sum().backward()


def test_graphs_are_freed(no_leak):
    x = taut.ones(10, requires_grad=True)
    for _ in range(3):
        y = Power.apply(x, 2).sum()
        y.backward()
        y = (x * 2).exp()  # never walked
    del x, y


def test_context_is_freed():
    x = taut.ones(1, requires_grad=True)

    class Marker:
        pass

    marker = Marker()
    reference = weakref.ref(marker)

    class Holds(Function):
        @staticmethod
        def forward(ctx, t):
            ctx.marker = marker
            return t * 1

        @staticmethod
        def backward(ctx, grad):
            return grad

    y = Holds.apply(x)
    del marker, Holds
    del y
    gc.collect()
    assert reference() is None
