"""repr of tensors, character for character."""

import pytest

import taut

inf, nan = float("inf"), float("nan")

GOLDEN = [
    (lambda: taut.tensor([1.0, 2.0]), "tensor([1., 2.])"),
    (lambda: taut.tensor([1.5, 2.0]), "tensor([1.5000, 2.0000])"),
    (lambda: taut.tensor(3.0), "tensor(3.)"),
    (lambda: taut.tensor(3), "tensor(3)"),
    (lambda: taut.tensor([True, False]), "tensor([ True, False])"),
    (lambda: taut.tensor([1, -10, 100]), "tensor([  1, -10, 100])"),
    (lambda: taut.tensor([1e-5, 1.0]), "tensor([1.0000e-05, 1.0000e+00])"),
    (lambda: taut.tensor([1e9, 1.0]), "tensor([1.0000e+09, 1.0000e+00])"),
    (lambda: taut.tensor([1000.5, 1.5]), "tensor([1000.5000,    1.5000])"),
    (lambda: taut.tensor([nan, inf, -inf, 1.0]), "tensor([nan, inf, -inf, 1.])"),
    (lambda: taut.tensor([nan, 1.5, -inf]), "tensor([   nan, 1.5000,   -inf])"),
    (lambda: taut.tensor([0.0]), "tensor([0.])"),
    (lambda: taut.tensor([]), "tensor([])"),
    (lambda: taut.zeros(2, 0), "tensor([], size=(2, 0))"),
    (lambda: taut.zeros(0, dtype=taut.int64), "tensor([], dtype=taut.int64)"),
    (lambda: taut.tensor([1.0], dtype=taut.float64), "tensor([1.], dtype=taut.float64)"),
    (lambda: taut.tensor([1], dtype=taut.int32), "tensor([1], dtype=taut.int32)"),
    (lambda: taut.tensor([1.25], dtype=taut.bfloat16), "tensor([1.2500], dtype=taut.bfloat16)"),
    (lambda: taut.ones(2, requires_grad=True), "tensor([1., 1.], requires_grad=True)"),
    (lambda: taut.ones(2, requires_grad=True) * 2, "tensor([2., 2.], grad_fn=<MulBackward0>)"),
    (lambda: taut.ones(2, 2), "tensor([[1., 1.],\n        [1., 1.]])"),
    (lambda: taut.ones(1, 2, 1), "tensor([[[1.],\n         [1.]]])"),
    (lambda: taut.zeros(2, 1, 1), "tensor([[[0.]],\n\n        [[0.]]])"),
    (lambda: taut.arange(30), "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
                              "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])"),
    (lambda: taut.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
    (lambda: taut.zeros(40, 40),
     "tensor([[0., 0., 0.,  ..., 0., 0., 0.],\n        [0., 0., 0.,  ..., 0., 0., 0.],\n"
     "        [0., 0., 0.,  ..., 0., 0., 0.],\n        ...,\n        [0., 0., 0.,  ..., 0., 0., 0.],\n"
     "        [0., 0., 0.,  ..., 0., 0., 0.],\n        [0., 0., 0.,  ..., 0., 0., 0.]])"),
]


@pytest.mark.parametrize("make, text", GOLDEN)
def test_golden(make, text):
    assert repr(make()) == text
    assert str(make()) == text


def test_options():
    x = taut.tensor([1.23456, 1e-6])
    taut.set_printoptions(precision=2)
    assert repr(x) == "tensor([1.23e+00, 1.00e-06])"
    taut.set_printoptions(precision=2, sci_mode=False)
    assert repr(x) == "tensor([1.23, 0.00])"
    taut.set_printoptions(profile="default")
    taut.set_printoptions(threshold=3, edgeitems=1)
    assert repr(taut.arange(5)) == "tensor([0,  ..., 4])"
    taut.set_printoptions(profile="full")
    assert "..." not in repr(taut.arange(3000))
    with pytest.raises(ValueError):
        taut.set_printoptions(precision=-1)
    with pytest.raises(ValueError):
        taut.set_printoptions(profile="loud")


def test_same_as_torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    samples = [torch.randn(shape) * scale for shape in [(), (3,), (4, 5), (2, 3, 4), (50, 60), (1100,), (2, 2, 2, 300)]
               for scale in (1, 1e-3, 1e6, 1e12)]
    samples += [torch.randint(-1000, 1000, (n,)) for n in (1, 9, 40, 1500)]
    samples += [torch.randn(7).half(), torch.randn(7).bfloat16(), torch.rand(3, 3) > 0.5, torch.zeros(3, 0, 2)]
    for sample in samples:
        mine = repr(taut.from_dlpack(sample))
        assert mine.replace("taut.", "torch.") == repr(sample)
