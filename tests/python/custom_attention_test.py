"""examples/custom_attention: the op, in Python and as a plugin, against Taut's own attention on the CPU and, where there is
one, on a GPU."""

import importlib.util
import math
from pathlib import Path

import pytest

import taut
import taut.nn.functional as F

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "custom_attention"
PLUGIN = Path(taut.__file__).parents[2] / "examples" / "custom_attention.so"  # of the build that this package belongs to
devices = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not taut.cuda.is_available(), reason="no GPU"))]


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("custom_attention", FOLDER / "custom_attention.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["python", "plugin"])
def attention(request, example):
    """The op in both languages."""
    if request.param == "python":
        return example.op
    if not PLUGIN.exists():
        pytest.skip(f"{PLUGIN} is not built")
    taut.load_library(PLUGIN)
    return taut.ops.attention_plugin.attention


def inputs(queries, keys, dtype=taut.float32, device="cpu", batch=2, heads=3, width=64):
    shapes = [(batch, heads, length, width) for length in (queries, keys, keys)]
    return [taut.randn(*shape, dtype=taut.float32).to(device=device, dtype=dtype).requires_grad_() for shape in shapes]


def result_and_gradients(function, tensors, **options):
    y = function(*tensors, **options)
    weight = taut.linspace(-1, 1, y.numel(), device=y.device).reshape(y.shape)
    return [y, *taut.autograd.grad((y.float() * weight).sum(), tensors)]


@pytest.mark.parametrize("device", devices)
@pytest.mark.parametrize("dtype", [taut.float32, taut.float16, taut.bfloat16], ids=str)
@pytest.mark.parametrize("queries, keys", [(1, 1), (64, 64), (65, 63), (130, 200), (200, 70)])
@pytest.mark.parametrize("is_causal", [False, True])
def test_is_attention(attention, device, dtype, queries, keys, is_causal):
    tensors = inputs(queries, keys, dtype, device)
    ours = result_and_gradients(attention, tensors, is_causal=is_causal)
    exact = [x.detach().double().cpu().requires_grad_() for x in tensors]
    expected = result_and_gradients(F.scaled_dot_product_attention, exact, is_causal=is_causal)
    tolerance = {taut.float32: 2e-5, taut.float16: 1e-2, taut.bfloat16: 6e-2}[dtype]
    for got, wanted in zip(ours, expected):
        assert got.dtype is dtype
        assert taut.allclose(got.double().cpu(), wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("device", devices)
def test_second_derivatives(attention, device):
    tensors = inputs(3, 4, taut.float32, device, batch=1, heads=1)

    def penalty(function, xs):
        (grad,) = taut.autograd.grad(function(*xs, is_causal=True).square().sum(), xs[0], create_graph=True)
        return taut.autograd.grad(grad.square().sum(), xs)

    exact = [x.detach().double().cpu().requires_grad_() for x in tensors]
    for got, wanted in zip(penalty(attention, tensors), penalty(F.scaled_dot_product_attention, exact)):
        assert taut.allclose(got.double().cpu(), wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("device", devices)
def test_layouts_and_scale(attention, device):
    query, key, value = inputs(20, 20, device=device)
    turned = [x.detach().transpose(1, 2).contiguous().transpose(1, 2) for x in (query, key, value)]
    assert not turned[0].is_contiguous()
    y = attention(*turned, scale=0.3)
    assert taut.allclose(y, F.scaled_dot_product_attention(query, key, value, scale=0.3), rtol=1e-4, atol=1e-5)
    shifted = taut.cat([taut.zeros(1, device=device), query.detach().reshape(-1)])[1:].view(query.shape)
    y = attention(shifted, key, value)
    assert taut.allclose(y, F.scaled_dot_product_attention(query, key, value), rtol=1e-4, atol=1e-5)


def test_follows_autocast(attention):
    query, key, value = inputs(5, 5)
    with taut.autocast("cpu", dtype=taut.bfloat16):
        assert attention(query, key, value).dtype is taut.bfloat16


def test_refuses_what_it_is_not_for(attention):
    query, key, value = inputs(5, 5)
    assert attention(query, key, value).shape == (2, 3, 5, 64)
    for arguments, kind in (
        ((query[0], key, value), taut.ShapeError),
        ((query, key, value[:, :1]), taut.ShapeError),
        (inputs(5, 5, width=32), taut.ShapeError),
        ((query, key[:, :, :0], value[:, :, :0]), taut.ShapeError),
        ((query, key, value.double()), taut.DTypeError),
        (tuple(x.detach().long() for x in (query, key, value)), taut.DTypeError),
    ):
        with pytest.raises(kind, match=attention.name):
            attention(*arguments)


def test_kernels_compile(example):
    sizes = ["int", "int", "float", "bool"]
    for dtype, name in example.CUDA_TYPES.items():
        try:
            forward = example.kernel("attention_forward", dtype).compile("sm_90")
        except taut.DeviceError:
            pytest.skip("no NVRTC")
        read, written = f"{name} const*", f"{name}*"
        assert forward == [read] * 3 + [written, "float*"] + sizes
        common = [read] * 4 + ["float const*"] * 2
        assert example.kernel("attention_backward_keys", dtype).compile("sm_80") == common + [written] * 2 + sizes
        assert example.kernel("attention_backward_queries", dtype).compile("sm_90") == common + [written] + sizes


def test_runs_as_a_program(example, capsys):
    example.main()
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_has_the_scale_of_its_width(example):
    assert taut.ops.example.attention.name == "example::attention"
    assert example.attention.__kwdefaults__["scale"] == 1 / math.sqrt(64)
