"""nn.init, nn.utils, attention and the layers that have one in nn.functional."""

import math

import pytest

import taut
import taut.nn.functional as F
from taut import nn

# init -----------------------------------------------------------------------------------------------------------------------


def test_init_fills_in_place_and_off_the_tape():
    weight = nn.Parameter(taut.empty(40, 30))
    assert nn.init.constant_(weight, 3) is weight and weight.sum() == 3600 and weight.requires_grad and weight.is_leaf
    assert nn.init.zeros_(weight).sum() == 0 and nn.init.ones_(weight).sum() == 1200
    assert taut.equal(nn.init.eye_(taut.empty(2, 3)), taut.eye(2, 3))
    assert nn.init.dirac_(taut.empty(2, 2, 3)).tolist() == [[[0, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0]]]
    sparse = nn.init.sparse_(taut.empty(20, 5), sparsity=0.25)
    assert ((sparse == 0).sum(0) == 5).all()


@pytest.mark.parametrize(
    ("name", "options", "bound", "std"),
    [
        ("uniform_", dict(a=-2, b=2), 2, 2 / math.sqrt(3)), ("normal_", dict(mean=0, std=3), None, 3),
        ("trunc_normal_", dict(std=1, a=-1, b=1), 1, 0.5396), ("xavier_uniform_", dict(gain=2), 2 * math.sqrt(6 / 500), None),
        ("xavier_normal_", dict(), None, math.sqrt(2 / 500)), ("kaiming_uniform_", dict(a=math.sqrt(5)), 1 / math.sqrt(200), None),
        ("kaiming_normal_", dict(mode="fan_out", nonlinearity="relu"), None, math.sqrt(2 / 300)),
    ],
)
def test_init_distributions(name, options, bound, std):
    fill = getattr(nn.init, name)
    weight = fill(taut.empty(300, 200), **options, generator=taut.Generator().manual_seed(1))
    again = fill(taut.empty(300, 200), **options, generator=taut.Generator().manual_seed(1))
    assert taut.equal(weight, again) and abs(weight.mean().item()) < 0.03
    if bound is not None:
        assert 0.98 * bound < weight.abs().max().item() <= bound
    if std is not None:
        assert weight.std().item() == pytest.approx(std, rel=0.02)


def test_init_numbers_and_errors():
    assert nn.init.calculate_gain("leaky_relu", 0.2) == pytest.approx(math.sqrt(2 / 1.04)) and nn.init.calculate_gain("tanh") == 5 / 3
    assert nn.init._calculate_fan_in_and_fan_out(taut.empty(8, 4, 3, 3)) == (36, 72)
    with pytest.raises(ValueError, match="2 dims"):
        nn.init.xavier_uniform_(taut.empty(3))
    with pytest.raises(ValueError, match="fan_sideways"):
        nn.init.kaiming_normal_(taut.empty(3, 3), mode="fan_sideways")
    with pytest.raises(ValueError, match="swoosh"):
        nn.init.calculate_gain("swoosh")


# utils ----------------------------------------------------------------------------------------------------------------------


def with_grads(*grads):
    parameters = [nn.Parameter(taut.zeros(len(grad))) for grad in grads]
    for parameter, grad in zip(parameters, grads):
        parameter.grad = taut.tensor(grad)
    return parameters


def test_clip_grad_norm():
    a, b = with_grads([3.0, 0.0], [4.0])
    untouched = nn.Parameter(taut.zeros(2))
    norm = nn.utils.clip_grad_norm_((p for p in [a, b, untouched]), 1.0)
    assert norm == 5 and untouched.grad is None
    assert a.grad[0].item() == pytest.approx(0.6, rel=1e-5) and b.grad.item() == pytest.approx(0.8, rel=1e-5)
    assert nn.utils.clip_grad_norm_([a, b], 10, norm_type=float("inf")).item() == pytest.approx(0.8, rel=1e-5)
    assert nn.utils.get_total_norm([taut.tensor([3.0, 4.0])]) == 5
    (bad,) = with_grads([float("nan")])
    with pytest.raises(ValueError):
        nn.utils.clip_grad_norm_(bad, 1.0, error_if_nonfinite=True)
    with pytest.raises(ValueError, match="nan"):
        nn.utils.get_total_norm([bad.grad], error_if_nonfinite=True)


def test_clip_grad_value_and_vectors():
    a, b = with_grads([3.0, -0.5], [-4.0])
    nn.utils.clip_grad_value_([a, b], 1)
    assert a.grad.tolist() == [1, -0.5] and b.grad.tolist() == [-1]
    nn.utils.vector_to_parameters(taut.tensor([1.0, 2, 3]), [a, b])
    assert b.tolist() == [3] and nn.utils.parameters_to_vector([a, b]).tolist() == [1, 2, 3]
    with pytest.raises(taut.ShapeError):
        nn.utils.vector_to_parameters(taut.ones(4), [a, b])


# attention ------------------------------------------------------------------------------------------------------------------


def test_attention():
    q, k, v = taut.randn(2, 3, 4, 8), taut.randn(2, 3, 5, 8), taut.randn(2, 3, 5, 6)
    out = F.scaled_dot_product_attention(q, k, v)
    expected = taut.softmax(q @ k.transpose(-2, -1) / math.sqrt(8), -1) @ v
    assert taut.allclose(out, expected, atol=1e-6)
    mask = taut.tensor([True, True, False, False, True])
    masked = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.5)
    scores = (q @ k.transpose(-2, -1) * 0.5).masked_fill(~mask, -math.inf)
    assert taut.allclose(masked, taut.softmax(scores, -1) @ v, atol=1e-6)
    causal = F.scaled_dot_product_attention(q, k[..., :4, :], v[..., :4, :], is_causal=True)
    assert taut.allclose(causal[..., 0, :], v[..., 0, :], atol=1e-6)
    grouped = F.scaled_dot_product_attention(q.repeat(1, 2, 1, 1), k, v, enable_gqa=True)
    assert grouped.shape == (2, 6, 4, 6)
    with pytest.raises(ValueError, match="exclude"):
        F.scaled_dot_product_attention(q, k, v, mask, is_causal=True)
    with pytest.raises(taut.ShapeError):
        F.scaled_dot_product_attention(q, k, v[..., :3, :])


def test_a_causal_mask_hides_a_nan_of_a_later_key():
    """What has not come yet, such as unwritten rows of a cache, must not reach the queries before it."""
    q, k, v = (taut.rand(1, 2, 4, 8, requires_grad=True) for _ in range(3))
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)[:, :, :3]
    last_is_nan = k.detach().clone()
    last_is_nan[:, :, 3] = float("nan")
    out = F.scaled_dot_product_attention(q, last_is_nan, v, is_causal=True)
    assert taut.equal(out[:, :, :3], expected)
    assert taut.isnan(out[:, :, 3]).all()


@pytest.mark.parametrize("is_bool", [True, False])
def test_attention_of_rows_without_keys(is_bool):
    q, k, v = (taut.randn(2, n, 4, requires_grad=True) for n in (3, 5, 5))
    mask = taut.ones(3, 5, dtype=taut.bool)
    mask[1] = False
    if not is_bool:
        mask = taut.zeros(3, 5).masked_fill(~mask, -math.inf)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    out.sum().backward()
    assert out[:, 1].abs().sum().item() == 0 and q.grad[:, 1].abs().sum().item() == 0
    assert all(x.grad.isfinite().all().item() for x in (q, k, v))
    seen = F.scaled_dot_product_attention(q, k, v)
    assert taut.allclose(out[:, ::2], seen[:, ::2], atol=1e-6)


def test_pad():
    x = taut.ones(1, 2, requires_grad=True)
    assert F.pad(x, (1, 0, 0, 2), value=5).tolist() == [[5, 1, 1], [5, 5, 5], [5, 5, 5]]
    assert F.pad(x, [-1, 1]).tolist() == [[1, 0]]
    F.pad(x, (1, 1)).sum().backward()
    assert x.grad.tolist() == [[1, 1]]
    with pytest.raises(NotImplementedError, match="reflect"):
        F.pad(x, (1, 1), mode="reflect")


# layers ---------------------------------------------------------------------------------------------------------------------

X, Y, Z = (lambda: taut.randn(4, 3)), (lambda: taut.rand(4, 3)), (lambda: taut.randn(4, 3))


@pytest.mark.parametrize(
    ("layer", "function", "inputs"),
    [
        (nn.KLDivLoss(reduction="batchmean"), lambda x, y: F.kl_div(x, y, reduction="batchmean"), (X, Y)),
        (nn.KLDivLoss(log_target=True), lambda x, y: F.kl_div(x, y, log_target=True), (X, X)),
        (nn.PoissonNLLLoss(log_input=False, full=True), lambda x, y: F.poisson_nll_loss(x, y, log_input=False, full=True), (Y, Y)),
        (nn.TripletMarginLoss(margin=2, swap=True), lambda a, b, c: F.triplet_margin_loss(a, b, c, 2, swap=True), (X, Y, Z)),
        (nn.InstanceNorm1d(3), F.instance_norm, (lambda: taut.randn(2, 3, 5),)),
        (nn.InstanceNorm2d(3, eps=1e-2), lambda x: F.instance_norm(x, eps=1e-2), (lambda: taut.randn(2, 3, 5, 4),)),
        (nn.InstanceNorm3d(3, affine=True), F.instance_norm, (lambda: taut.randn(2, 3, 5, 4, 2),)),
    ],
)
def test_layers_are_their_functions(layer, function, inputs):
    inputs = [make() for make in inputs]
    assert taut.equal(layer(*inputs), function(*inputs))


def test_instance_norm_keeps_statistics_when_asked():
    assert [name for name, _ in nn.InstanceNorm2d(3, affine=True).named_parameters()] == ["weight", "bias"]
    assert not list(nn.InstanceNorm2d(3).named_buffers())
    norm = nn.InstanceNorm2d(3, momentum=0.25, track_running_stats=True)
    assert "track_running_stats=True" in repr(norm) and norm.track_running_stats
    assert list(norm.state_dict()) == ["running_mean", "running_var", "num_batches_tracked"]
    x = taut.randn(4, 3, 5, 2)
    assert taut.equal(norm(x), F.instance_norm(x))
    mean, var = x.mean((2, 3)).mean(0), x.var((2, 3)).mean(0)
    assert taut.allclose(norm.running_mean, 0.25 * mean) and taut.allclose(norm.running_var, 0.75 + 0.25 * var)
    norm.eval()
    running = norm.running_mean.clone(), norm.running_var.clone()
    expected = (x - running[0].view(3, 1, 1)) / (running[1].view(3, 1, 1) + 1e-5).sqrt()
    assert taut.allclose(norm(x), expected, atol=1e-6) and taut.equal(norm.running_mean, running[0])
    assert taut.equal(norm(x), F.instance_norm(x, *running, use_input_stats=False))
    assert taut.equal(norm(x[0]), norm(x)[0])
    x.requires_grad_()
    F.instance_norm(x, *running, use_input_stats=False).sum().backward()
    assert taut.allclose(x.grad, (running[1].view(3, 1, 1) + 1e-5).rsqrt().expand(4, 3, 5, 2))
    for wrong in (
        lambda: F.instance_norm(x, use_input_stats=False),
        lambda: F.instance_norm(x, running[0]),
        lambda: F.instance_norm(x[:, :, :1, :1]),
        lambda: F.instance_norm(x, taut.zeros(2), taut.ones(2)),
    ):
        with pytest.raises(ValueError, match="instance_norm"):
            wrong()
    with pytest.raises(ValueError, match="wrong"):
        nn.KLDivLoss("wrong")


def test_parameter_list():
    weights = nn.ParameterList([taut.ones(2), nn.Parameter(taut.zeros(3))])
    weights.append(taut.full((1,), 5.0))
    weights += [taut.ones(2, 2)]
    assert len(weights) == 4 and isinstance(weights[0], nn.Parameter) and weights[-1].shape == (2, 2)
    weights[0] = nn.Parameter(taut.full((2,), 7.0))
    assert [weight.numel() for weight in weights] == [2, 3, 1, 4] and weights[0].tolist() == [7, 7]
    assert list(weights.state_dict()) == ["0", "1", "2", "3"] and all(weight.requires_grad for weight in weights.parameters())
    with pytest.raises(IndexError):
        weights[4]
    assert "Parameter containing" in repr(weights)


def test_adaptive_pools_keep_sizes_that_are_none():
    x = taut.randn(2, 3, 5, 6)
    pool = nn.AdaptiveAvgPool2d((None, 2))
    assert pool(x).shape == (2, 3, 5, 2) and pool.output_size == (None, 2)
    assert repr(pool) == "AdaptiveAvgPool2d(output_size=(None, 2))"
    assert taut.equal(pool(x), F.adaptive_avg_pool2d(x, (5, 2)))
    assert taut.equal(nn.AdaptiveMaxPool2d([3, None])(x), F.adaptive_max_pool2d(x, (3, 6)))
    assert nn.AdaptiveAvgPool1d(None).output_size is None and nn.AdaptiveAvgPool3d(4).output_size == 4
    with pytest.raises(ValueError, match="-1"):
        nn.AdaptiveAvgPool2d((None, -1))
