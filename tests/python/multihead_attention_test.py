"""nn.MultiheadAttention against attention written out in plain ops, on every device."""

import copy
import pickle

import pytest

import taut
import taut.nn.functional as F
import transformer_reference as reference
from taut import nn

SEED = 31
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not taut.cuda.is_available(), reason="no GPU"))]
devices = pytest.mark.parametrize("device", DEVICES)
BATCH, HEADS, QUERIES, KEYS, WIDTH = 3, 2, 5, 7, 8
KINDS = [{}, dict(bias=False), dict(kdim=6, vdim=10), dict(add_bias_kv=True), dict(add_zero_attn=True), dict(add_bias_kv=True, add_zero_attn=True, kdim=3)]
TOLERANCE = {taut.float64: 1e-10, taut.float32: 2e-4, taut.bfloat16: 6e-2}


@pytest.fixture(autouse=True)
def _seed():
    taut.manual_seed(SEED)


def layer(dtype=taut.float64, device="cpu", **options):
    made = nn.MultiheadAttention(WIDTH, HEADS, **options).double()
    with taut.no_grad():  # biases that start at 0 would hide mistakes
        for parameter in made.parameters():
            parameter.copy_(taut.randn(parameter.shape, dtype=taut.float64) * 0.4)
    return made.to(dtype).to(device)


def inputs(made, dtype=taut.float64, device="cpu"):
    """Query, key and value, batch first."""
    sizes = (QUERIES, WIDTH), (KEYS, made.kdim), (KEYS, made.vdim)
    return [taut.randn(BATCH, *size, dtype=taut.float64).to(dtype).to(device).requires_grad_() for size in sizes]


def masks(kind):
    """Masks by name; no query is left without a key."""
    hides = taut.rand(QUERIES, KEYS) < 0.4
    hides[:, 0] = False
    each = taut.rand(BATCH * HEADS, QUERIES, KEYS) < 0.4
    each[:, :, 0] = False
    padding = taut.arange(KEYS) >= taut.tensor([[KEYS], [4], [1]])
    return {
        "none": {}, "bool": {"attn_mask": hides}, "float": {"attn_mask": taut.randn(QUERIES, KEYS, dtype=taut.float64)},
        "bool for each head": {"attn_mask": each}, "float for each head": {"attn_mask": taut.randn(BATCH * HEADS, QUERIES, KEYS, dtype=taut.float64)},
        "padding": {"key_padding_mask": padding}, "float padding": {"key_padding_mask": taut.randn(BATCH, KEYS, dtype=taut.float64)},
        "both": {"attn_mask": hides, "key_padding_mask": padding},
        "float and bool": {"attn_mask": taut.randn(QUERIES, KEYS, dtype=taut.float64), "key_padding_mask": padding},
        "bool and float": {"attn_mask": each, "key_padding_mask": taut.randn(BATCH, KEYS, dtype=taut.float64)},
    }[kind]  # fmt: skip


MASKS = ["none", "bool", "float", "bool for each head", "float for each head", "padding", "float padding", "both", "float and bool", "bool and float"]


def hidden_by(made, attn_mask=None, key_padding_mask=None, is_causal=False):
    """The masks as what is added to the scores of each head."""
    extra = made.bias_k is not None, made.add_zero_attn
    total = taut.zeros(BATCH, HEADS, QUERIES, KEYS + sum(extra), dtype=taut.float64)
    if is_causal:
        attn_mask = reference.causal(QUERIES, KEYS)
    if attn_mask is not None:
        mask = reference.added(attn_mask)
        total[..., :KEYS] += mask.view(BATCH, HEADS, QUERIES, KEYS) if mask.dim() == 3 else mask
    if key_padding_mask is not None:
        total[..., :KEYS] += reference.added(key_padding_mask).view(BATCH, 1, 1, KEYS)
    return total


def expected(made, q, k, v, **given):
    """Output, weights and gradients of the reference, in float64 on the CPU."""
    weights = {name: p.detach().cpu().double().requires_grad_() for name, p in made.named_parameters()}
    leaves = [x.detach().cpu().double().requires_grad_() for x in (q, k, v)]
    output, heads = reference.attention(weights, HEADS, *leaves, hidden_by(made, **given), made.add_zero_attn)
    grads = taut.autograd.grad((output * slope(output)).sum(), [*leaves, *weights.values()])
    return output, heads, grads


def slope(output):
    """A gradient that differs everywhere."""
    return taut.linspace(-1, 1, output.numel(), dtype=output.dtype, device=output.device).view(output.shape)


def close(actual, wanted, dtype):
    scale = max(1.0, wanted.abs().max().item())
    assert actual.dtype is dtype and actual.shape == wanted.shape
    assert ((actual.detach().cpu().double() - wanted.detach()).abs().max() <= TOLERANCE[dtype] * scale).item()


def on(device, given):
    return {name: mask.to(device) for name, mask in given.items()}


@devices
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("need_weights", [True, False])
def test_every_kind(device, dtype, options, need_weights):
    made = layer(dtype, device, batch_first=True, **options)
    for kind in ("none", "both", "float and bool"):
        q, k, v = inputs(made, dtype, device)
        given = masks(kind)
        output, weights = made(q, k, v, need_weights=need_weights, average_attn_weights=False, **on(device, given))
        right, heads, grads = expected(made, q, k, v, **given)
        close(output, right, dtype)
        assert weights is None if not need_weights else close(weights, heads, dtype) is None
        actual = taut.autograd.grad((output * slope(output)).sum(), [q, k, v, *made.parameters()])
        for ours, theirs in zip(actual, grads):
            close(ours, theirs, dtype)


@devices
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("need_weights", [True, False])
def test_every_mask(device, kind, need_weights):
    made = layer(taut.float32, device, batch_first=True)
    q, k, v = inputs(made, taut.float32, device)
    given = masks(kind)
    output, weights = made(q, k, v, need_weights=need_weights, **on(device, given))
    right, heads, grads = expected(made, q, k, v, **given)
    close(output, right, taut.float32)
    if need_weights:
        close(weights, heads.mean(1), taut.float32)
    for ours, theirs in zip(taut.autograd.grad((output * slope(output)).sum(), [q, k, v]), grads):
        close(ours, theirs, taut.float32)


@pytest.mark.parametrize("kind", ["none", "padding"])
@pytest.mark.parametrize("options", [{}, dict(add_bias_kv=True), dict(add_zero_attn=True)], ids=str)
@devices
def test_is_causal_needs_no_mask(device, options, kind):
    made = layer(taut.float32, device, batch_first=True, **options)
    q, k, v = inputs(made, taut.float32, device)
    given = masks(kind)
    right = expected(made, q, k, v, is_causal=True, **given)[0]
    mask = reference.causal(QUERIES, KEYS).to(device)
    for need_weights in (True, False):
        for hint in ({}, {"attn_mask": mask}):
            output, _ = made(q, k, v, need_weights=need_weights, is_causal=True, **hint, **on(device, given))
            close(output, right, taut.float32)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_the_batch_may_be_second_or_missing(options):
    first = layer(batch_first=True, **options)
    second = nn.MultiheadAttention(WIDTH, HEADS, dtype=taut.float64, **options)
    second.load_state_dict(first.state_dict())
    q, k, v = (x.detach() for x in inputs(first))
    given = masks("float and bool")
    for need_weights in (True, False):
        output, weights = first(q, k, v, need_weights=need_weights, **given)
        other, others = second(*(x.transpose(0, 1) for x in (q, k, v)), need_weights=need_weights, **given)
        assert taut.allclose(other.transpose(0, 1), output, rtol=1e-12, atol=1e-12)
        alone, weight = first(q[1], k[1], v[1], need_weights=need_weights, attn_mask=given["attn_mask"], key_padding_mask=given["key_padding_mask"][1])
        assert alone.shape == (QUERIES, WIDTH) and taut.allclose(alone, output[1], rtol=1e-12, atol=1e-12)
        if need_weights:
            assert taut.allclose(others, weights) and weight.dim() == 2 and taut.allclose(weight, weights[1])
    each = first(q[1], k[1], v[1], average_attn_weights=False, attn_mask=masks("float for each head")["attn_mask"][:HEADS])[1]
    assert each.shape[:2] == (HEADS, QUERIES)


def test_one_tensor_for_several_arguments():
    made = layer(batch_first=True)
    q, k, _ = (x.detach() for x in inputs(made))
    for x, y in ((q, q), (q, k), (k, k)):
        packed = made(x, y, y, need_weights=False)[0]
        apart = made(x.clone(), y.clone(), y.clone(), need_weights=False)[0]
        assert taut.allclose(packed, apart, rtol=1e-12, atol=1e-12)


def test_gradcheck():
    made = nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True, dtype=taut.float64)
    x = taut.randn(3, 2, 4, dtype=taut.float64, requires_grad=True)
    mask = taut.randn(3, 3, dtype=taut.float64, requires_grad=True)
    for need_weights in (True, False):
        assert taut.autograd.gradcheck(lambda x, mask: made(x, x, x, need_weights=need_weights, attn_mask=mask)[0], (x, mask))
        assert taut.autograd.gradgradcheck(lambda x, mask: made(x, x, x, need_weights=need_weights, attn_mask=mask)[0], (x, mask))
    weights = lambda x: made(x, x, x)[1]  # noqa: E731
    assert taut.autograd.gradcheck(weights, (x,))


def test_a_query_that_sees_nothing_gives_zeros():
    made = layer(batch_first=True)
    q, k, v = inputs(made)
    padding = taut.zeros(BATCH, KEYS, dtype=taut.bool)
    padding[1] = True
    for mask in (padding, reference.added(padding)):
        for need_weights in (True, False):
            output, weights = made(q, k, v, key_padding_mask=mask, need_weights=need_weights)
            assert taut.allclose(output[1], made.out_proj.bias + taut.zeros(QUERIES, 1, dtype=taut.float64))
            assert weights is None or (weights[1] == 0).all()
            assert all(grad.isfinite().all() for grad in taut.autograd.grad(output.sum(), [q, k, v]))


@devices
def test_empty_batches_and_sequences(device):
    made = layer(taut.float32, device, batch_first=True, add_zero_attn=True)
    for batch, queries, keys in ((0, 5, 7), (2, 0, 7), (2, 5, 0)):
        q, k = taut.randn(batch, queries, WIDTH, device=device), taut.randn(batch, keys, WIDTH, device=device)
        for need_weights in (True, False):
            output, weights = made(q, k, k, need_weights=need_weights)
            assert output.shape == (batch, queries, WIDTH) and output.isfinite().all()
            assert weights is None or weights.shape == (batch, queries, keys + 1)


@devices
def test_dropout(device):
    made = layer(taut.float32, device, batch_first=True, dropout=0.5)
    q, k, v = inputs(made, taut.float32, device)
    for need_weights in (True, False):
        draws = []
        for seed in (1, 1, 2):
            taut.manual_seed(seed)
            draws.append(made(q, k, v, need_weights=need_weights)[0])
        assert taut.equal(draws[0], draws[1]) and not taut.equal(draws[0], draws[2])
    zeros = (made(q, k, v, average_attn_weights=False)[1] == 0).float().mean().item()
    assert 0.3 < zeros < 0.7  # the weights are those that were used
    made.eval()
    right = expected(made, q, k, v)[0]
    close(made(q, k, v, need_weights=False)[0], right, taut.float32)
    made.train()
    made.dropout = 0.0
    close(made(q, k, v, need_weights=False)[0], right, taut.float32)


@devices
def test_autocast(device):
    made = layer(taut.float32, device, batch_first=True)
    q, k, v = inputs(made, taut.float32, device)
    given = masks("float and bool")
    right, heads, grads = expected(made, q, k, v, **given)
    for need_weights in (True, False):
        with taut.autocast(device, taut.bfloat16):
            output, weights = made(q, k, v, need_weights=need_weights, **on(device, given))
        close(output, right, taut.bfloat16)
        assert weights is None or (weights.cpu().double() - heads.mean(1)).abs().max() < 0.03
        assert all(grad.dtype is taut.float32 for grad in taut.autograd.grad((output * slope(output)).sum(), [q, *made.parameters()]))


def test_state_and_initialisation():
    made = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    assert list(made.state_dict()) == ["in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj.weight", "out_proj.bias"]
    assert made.in_proj_weight.abs().max() <= (6 / (4 * 64)) ** 0.5 and made.in_proj_weight.abs().max() > 0.98 * (6 / (4 * 64)) ** 0.5
    assert made.out_proj.weight.abs().max() <= 1 / 8 and made.in_proj_bias.abs().sum() == 0 and made.out_proj.bias.abs().sum() == 0
    assert made.bias_k.shape == (1, 1, 64) and made.bias_k.std().item() == pytest.approx((2 / (64 + 64)) ** 0.5, rel=0.4)
    apart = nn.MultiheadAttention(8, 2, bias=False, kdim=3, vdim=5)
    assert list(apart.state_dict()) == ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"]
    assert apart.in_proj_weight is None and apart.in_proj_bias is None and apart.bias_k is None and apart.out_proj.bias is None
    assert (apart.embed_dim, apart.num_heads, apart.head_dim, apart.kdim, apart.vdim) == (8, 2, 4, 3, 5)
    assert nn.MultiheadAttention(8, 2, dtype=taut.float64).in_proj_weight.dtype is taut.float64


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_copies(duplicate, options):
    made = layer(batch_first=True, **options)
    made.dropout, made.num_heads = 0.25, 4
    twin = duplicate(made)
    assert twin.dropout == 0.25 and twin.num_heads == 4 and twin.batch_first
    q, k, v = inputs(made)
    made.eval(), twin.eval()
    before = made(q, k, v)[0]
    assert taut.equal(twin(q, k, v)[0], before)
    with taut.no_grad():
        twin.out_proj.weight.zero_()
    assert taut.equal(made(q, k, v)[0], before) and not taut.equal(twin(q, k, v)[0], before)


def test_the_last_projection_may_be_replaced():
    made = layer(batch_first=True)
    q, k, v = inputs(made)
    other = nn.Linear(WIDTH, WIDTH, dtype=taut.float64)
    right = made(q, k, v)[0]
    made.out_proj = other
    assert made.out_proj is other and not taut.allclose(made(q, k, v)[0], right)
    close(made(q, k, v)[0], expected(made, q, k, v)[0], taut.float64)

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = nn.Parameter(other.weight.detach() * 2), None

    made.out_proj = Scaled()  # PyTorch reads its weight and bias, too
    close(made(q, k, v)[0], expected(made, q, k, v)[0], taut.float64)


def test_hooks_see_what_pytorch_shows():
    made = layer(batch_first=True)
    q, k, v = inputs(made)
    seen = []
    made.register_forward_hook(lambda module, args, kwargs, output: seen.append((len(args), sorted(kwargs), output)), with_kwargs=True)
    output = made(q, k, v, need_weights=False)
    assert seen[0][:2] == (3, ["need_weights"]) and seen[0][2] is output


def test_the_function_takes_the_parameters():
    made = layer(kdim=6, add_bias_kv=True)
    q, k, v = (x.transpose(0, 1) for x in inputs(made))
    given = masks("both")
    named = dict(use_separate_proj_weight=True, q_proj_weight=made.q_proj_weight, k_proj_weight=made.k_proj_weight, v_proj_weight=made.v_proj_weight)
    output, weights = F.multi_head_attention_forward(
        q, k, v, WIDTH, HEADS, None, made.in_proj_bias, made.bias_k, made.bias_v, False, 0.0, made.out_proj.weight, made.out_proj.bias, **named, **given
    )  # fmt: skip
    right, heads = made(q, k, v, **given)
    assert taut.equal(output, right) and taut.equal(weights, heads)


def test_static_keys_and_values():
    made = layer()
    q, k, v = (x.transpose(0, 1) for x in inputs(made))
    static = [taut.randn(BATCH * HEADS, KEYS + 2, WIDTH // HEADS, dtype=taut.float64) for _ in range(2)]
    rest = (WIDTH, HEADS, made.in_proj_weight, made.in_proj_bias, None, None, False, 0.0, made.out_proj.weight, made.out_proj.bias)
    output, _ = F.multi_head_attention_forward(q, k, v, *rest, static_k=static[0], static_v=static[1])
    projected = F.linear(q, made.in_proj_weight[:WIDTH], made.in_proj_bias[:WIDTH])
    heads = projected.view(QUERIES, BATCH * HEADS, WIDTH // HEADS).transpose(0, 1)
    mixed = F.scaled_dot_product_attention(heads, *static).transpose(0, 1).reshape(QUERIES, BATCH, WIDTH)
    assert taut.allclose(output, F.linear(mixed, made.out_proj.weight, made.out_proj.bias))
    with pytest.raises(RuntimeError, match=r"static_k has shape \(6, 9, 3\); expected \(6, 9, 4\)"):
        F.multi_head_attention_forward(q, k, v, *rest, static_k=static[0][..., :3], static_v=static[1])


def test_errors():
    for wrong, words in ((dict(embed_dim=10, num_heads=3), "10 and 3"), (dict(embed_dim=0, num_heads=1), "0 and 1"), (dict(embed_dim=4, num_heads=0), "4 and 0")):
        with pytest.raises(ValueError, match=words):
            nn.MultiheadAttention(**wrong)
    with pytest.raises(ValueError, match="1.5"):
        nn.MultiheadAttention(4, 2, dropout=1.5)
    made = layer(taut.float32, batch_first=True)
    q, k, v = (taut.randn(BATCH, n, WIDTH) for n in (QUERIES, KEYS, KEYS))
    cases = [
        ((q[0, 0], k, v), {}, RuntimeError, r"query .* \(8,\)"), ((q, k[0], v), {}, RuntimeError, r"\(7, 8\)"),
        ((q[..., :6], k, v), {}, RuntimeError, "query.*expected 8 features"), ((q, k[..., :6], v), {}, RuntimeError, "key.*expected 8 features"),
        ((q, k[:2], v[:2]), {}, RuntimeError, "one batch size; got 3, 2 and 2"), ((q, k, v[:, :4]), {}, RuntimeError, "one length; got 7 and 4"),
        ((q, k, v), dict(attn_mask=taut.zeros(5, 6)), RuntimeError, r"attn_mask .*\(5, 6\); expected \(5, 7\), or \(6, 5, 7\)"),
        ((q, k, v), dict(attn_mask=taut.zeros(3, 5, 7)), RuntimeError, r"attn_mask .*\(3, 5, 7\)"),
        ((q, k, v), dict(attn_mask=taut.zeros(5, 7, dtype=taut.int64)), TypeError, "attn_mask .*int64"),
        ((q, k, v), dict(key_padding_mask=taut.zeros(3, 6, dtype=taut.bool)), RuntimeError, r"key_padding_mask .*\(3, 6\); expected \(3, 7\)"),
        ((q, k, v), dict(key_padding_mask=taut.zeros(7, dtype=taut.bool)), RuntimeError, r"\(7,\); expected \(3, 7\)"),
        ((q, k, v), dict(key_padding_mask=taut.zeros(3, 7, dtype=taut.uint8)), TypeError, "key_padding_mask .*uint8"),
        ((q[0], k[0], v[0]), dict(key_padding_mask=taut.zeros(3, 7, dtype=taut.bool)), RuntimeError, r"expected \(7,\)"),
        ((q.double(), k.double(), v.double()), {}, RuntimeError, "float64"),
        ((q, k), {}, TypeError, "value"), ((q, k, v), dict(mask=None), TypeError, "mask"), (("q", k, v), {}, TypeError, "query"),
    ]  # fmt: skip
    for args, kwargs, kind, words in cases:
        with pytest.raises(kind, match=words):
            made(*args, **kwargs)
    del made.out_proj
    with pytest.raises(ValueError, match="out_proj"):
        made(q, k, v)
