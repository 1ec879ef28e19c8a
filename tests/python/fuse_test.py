"""taut.fuse: decorators, structures of arguments and results, modules; on a GPU against the function itself."""

import gc
import threading
import warnings
import weakref

import pytest
import taut
import taut.nn.functional as F

needs_gpu = pytest.mark.skipif(not taut.cuda.is_available(), reason="no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]


def close(got, expected, tolerance):
    size = max(1.0, expected.abs().max().item())
    assert (got.float() - expected.float()).abs().max().item() <= tolerance * size


@pytest.mark.parametrize("device", DEVICES)
def test_decorator(device):
    @taut.fuse(wait=True)
    def swiglu(x):
        """A gated unit."""
        gate, value = x.chunk(2, -1)
        return F.silu(gate) * value

    assert swiglu.__name__ == "swiglu" and swiglu.__doc__ == "A gated unit."
    x = taut.randn(6, 64, device=device)
    for _ in range(3):
        gate, value = x.chunk(2, -1)
        close(swiglu(x), F.silu(gate) * value, 1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_structures_and_plain_arguments(device):
    def function(pair, *, scale, flip=False):
        a, b = pair
        if flip:
            a, b = b, a
        return {"sum": a + b * scale, "parts": (a.tanh(), [b.exp()]), "name": "flip" if flip else "no"}

    fused = taut.fuse(function, wait=True)
    pair = (taut.randn(4, 8, device=device), taut.randn(4, 8, device=device))
    for options in ({"scale": 2.0}, {"scale": 3.0}, {"scale": 2.0, "flip": True}):
        for _ in range(2):
            got, expected = fused(pair, **options), function(pair, **options)
            assert got["name"] == expected["name"]
            close(got["sum"], expected["sum"], 1e-6)
            close(got["parts"][0], expected["parts"][0], 1e-6)
            close(got["parts"][1][0], expected["parts"][1][0], 1e-6)
    if device == "cuda":
        assert len(fused.kinds) == 3 and all(kind["is_ready"] for kind in fused.kinds)


def test_refuses_other_arguments():
    with pytest.raises(TypeError, match="fuse: got an argument of type object"):
        taut.fuse(lambda x, y: x)(taut.ones(2), object())
    with pytest.raises(ValueError, match="max_kinds"):
        taut.fuse(lambda x: x, max_kinds=0)


def test_says_so_on_the_cpu():
    fused = taut.fuse(lambda x: x * 2)
    assert fused.compile(taut.ones(2)) is False
    assert "no calls on a GPU" in fused.explain() and fused.kinds == []


@pytest.mark.parametrize("device", DEVICES)
def test_module_gets_its_gradients(device):
    class Block(taut.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = taut.nn.LayerNorm(32)
            self.scale = taut.nn.Parameter(taut.full((32,), 0.5))

        def forward(self, x):
            return x + self.scale * F.gelu(self.norm(x))

    block = Block().to(device)
    x = taut.randn(5, 7, 32, device=device, requires_grad=True)
    block(x).sum().backward()
    expected = [parameter.grad.clone() for parameter in (x, *block.parameters())]
    fused = taut.fuse(block, wait=True)
    fused.compile(x)
    for parameter in (x, *block.parameters()):
        parameter.grad = None
    fused(x).sum().backward()
    for parameter, gradient in zip((x, *block.parameters()), expected):
        close(parameter.grad, gradient, 2e-5)


@needs_gpu
def test_is_fused_after_compile():
    fused = taut.fuse(lambda x, w: (F.rms_norm(x, (64,), w, 1e-6), x * 2))
    x = taut.randn(9, 64, device="cuda", requires_grad=True)
    w = taut.randn(64, device="cuda", requires_grad=True)
    assert fused.compile(x, w)
    assert "kernels" in fused.explain() and fused.kinds[0]["forward_kernels"] == 1
    assert "fused" in fused(x, w)[0].grad_fn.name().lower()


@needs_gpu
def test_warns_once_of_what_cannot_be_fused():
    fused = taut.fuse(lambda x: x @ x, wait=True)
    x = taut.randn(4, 4, device="cuda")
    with pytest.warns(UserWarning, match="matmul"):
        fused(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        close(fused(x), x @ x, 1e-5)
    assert "matmul" in fused.explain()


@needs_gpu
@pytest.mark.parametrize("dtype", [taut.float32, taut.bfloat16, taut.float16])
def test_autocast_has_kinds_of_its_own(dtype):
    def function(x, w):
        return F.layer_norm(x, (32,), w) * taut.sigmoid(x)

    fused = taut.fuse(function, wait=True)
    x = taut.randn(6, 32, device="cuda").to(dtype).requires_grad_()
    w = taut.randn(32, device="cuda").to(dtype).requires_grad_()
    for _ in range(2):
        with taut.autocast("cuda", dtype=taut.bfloat16):
            got, expected = fused(x, w), function(x, w)
        assert got.dtype == expected.dtype
        close(got, expected, 4e-2)
        for a, b in zip(taut.autograd.grad(got.sum(), (x, w)), taut.autograd.grad(expected.sum(), (x, w))):
            assert a.dtype == b.dtype
            close(a, b, 4e-2)


@needs_gpu
def test_gradient_of_an_expanded_gradient():
    fused = taut.fuse(lambda x: x.sin() * x, wait=True)
    x = taut.randn(8, 8, device="cuda", requires_grad=True)
    for _ in range(2):
        x.grad = None
        fused(x).sum().backward()
        close(x.grad, x.cos() * x + x.sin(), 1e-5)


@needs_gpu
def test_second_derivatives_by_name_and_of_methods():
    def function(x, *, scale):
        return x.sin() * x * scale

    class Holder:
        def __init__(self):
            # A cycle: the object has the function, which has the object.
            self.fused = taut.fuse(self.inner, wait=True)

        def inner(self, x):
            return x.sin() * x * 2

    fused, holder = taut.fuse(function, wait=True), Holder()
    x = taut.randn(8, 8, device="cuda", requires_grad=True)
    for call in (lambda: fused(x, scale=2.0), lambda: holder.fused(x)):
        for _ in range(2):
            (first,) = taut.autograd.grad(call().sum(), x, create_graph=True)
            (second,) = taut.autograd.grad(first.sum(), x)
            close(first, 2 * (x.cos() * x + x.sin()), 1e-5)
            close(second, 2 * (2 * x.cos() - x.sin() * x), 1e-5)
    reference = weakref.ref(holder)
    del holder, call, first, second
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("device", DEVICES)
def test_threads_call_at_once(device):
    fused = taut.fuse(lambda x: x.exp() + x, wait=True)
    wrong = []

    def work(thread):
        for i in range(20):
            x = taut.full((16 * (1 + (thread + i) % 3),), 0.1 * i, device=device, requires_grad=True)
            (gradient,) = taut.autograd.grad(fused(x).sum(), x)
            if not taut.allclose(gradient, x.exp() + 1):
                wrong.append((thread, i))

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
