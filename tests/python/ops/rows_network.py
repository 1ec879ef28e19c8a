"""torch.nn.functional: activations, softmax, losses, normalisation, distances."""

import math

import numpy as np

import taut
from rows_pointwise import one_tensor, sigmoid
from table import SAME, call, draw, integers, mask, row, vectorized

F = "nn.functional."
X = draw(3, 5)
BATCH = draw(2, 4, 3)


# ---- Activations ------------------------------------------------------------------------------------
def softplus(x, beta=1.0, threshold=20.0):
    return np.where(x * beta > threshold, x, np.log1p(np.exp(x * beta)) / beta)


def elu(x, alpha=1.0, inplace=False):
    return np.where(x > 0, x, alpha * np.expm1(x))


def celu(x, alpha=1.0, inplace=False):
    return np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(x / alpha))


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + vectorized(math.erf)(x / math.sqrt(2)))


def keeping(function):
    """A function of x alone whose op also takes `inplace`."""
    return lambda x, inplace=False: function(x)


for name, function in (
    ("hardsigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    ("hardswish", lambda x: x * np.clip(x + 3, 0, 6) / 6),
    ("logsigmoid", lambda x: -np.log1p(np.exp(-x))),
    ("mish", lambda x: x * np.tanh(softplus(x))),
    ("relu6", lambda x: np.clip(x, 0, 6)),
    ("selu", lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
    ("silu", lambda x: x * sigmoid(x)),
    ("softsign", lambda x: x / (1 + np.abs(x))),
    ("tanhshrink", lambda x: x - np.tanh(x)),
):
    one_tensor(F + name, keeping(function), -9, 9, loose=2)

PLACES = [call(X), call(draw()), call(draw(0)), call(draw(2, 0, 3))]
row(F + "elu", elu, *PLACES, call(X, 0.5), call(X, alpha=2.0))
row(F + "celu", celu, *PLACES, call(X, 0.5), call(X, alpha=2.0))
row(F + "gelu", gelu, *PLACES, call(X, approximate="tanh"), call(draw(40, low=-6, high=6)), loose=3)
row(
    F + "softplus",
    softplus,
    *PLACES,
    call(X, 2.0),
    call(draw(9, low=-30, high=30)),
    call(X, beta=3.0, threshold=1.0),
    loose=2,
)
row(F + "leaky_relu", lambda x, slope=0.01: np.where(x > 0, x, slope * x), *PLACES, call(X, 0.25))
row(F + "leaky_relu", lambda x, negative_slope: np.where(x > 0, x, negative_slope * x), call(X, negative_slope=-0.5))
row(
    F + "hardtanh",
    lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val),
    *PLACES,
    call(X, -2.0, 0.5),
    call(X, min_val=0.0, max_val=6.0),
)
row(F + "hardshrink", lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0), *PLACES, call(X, 1.0))
row(F + "softshrink", lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0), *PLACES, call(X, lambd=1.0))
row(
    F + "threshold",
    lambda x, threshold, value: np.where(x > threshold, x, value),
    call(X, 0.5, -1.0),
    call(draw(0), 0.0, 1.0),
    call(draw(), 0.0, 7.0),
)


def prelu(x, weight):
    shape = [1] * x.ndim
    if weight.size > 1:
        shape[1] = weight.size
    return np.where(x > 0, x, weight.reshape(shape) * x)


row(
    F + "prelu",
    prelu,
    call(X, draw(1)),
    call(X, draw(5)),
    call(BATCH, draw(4)),
    call(draw(6), draw(1)),
    call(draw(0, 5), draw(5)),
)
row(
    F + "glu",
    lambda x, dim=-1: np.multiply(*[f(p) for f, p in zip((np.asarray, sigmoid), np.split(x, 2, dim))]),
    call(draw(3, 4)),
    call(draw(4, 3), 0),
    call(BATCH, dim=1),
    call(draw(0, 4)),
)


def gated(function):
    """A function of the gate times what it gates; the two are halves of one array where there is one."""

    def apply(gate, up=None, **options):
        gate, up = np.split(gate, 2, -1) if up is None else (gate, up)
        return function(gate, **options) * up

    return apply


GATED = [call(X, draw(3, 5)), call(draw(3, 6)), call(draw(2, 3, 16)), call(draw(0, 5), draw(0, 5)), call(draw(3, 0)), call(draw(40), draw(40))]
row(F + "swiglu", gated(lambda x: x * sigmoid(x)), *GATED, loose=3)
row(F + "geglu", gated(gelu), *GATED, call(X, X, approximate="tanh"), call(draw(3, 6), approximate="tanh"), loose=3)


# ---- Softmax ----------------------------------------------------------------------------------------
def softmax(x, dim, dtype=None):
    if x.size == 0:
        return x
    x = x.reshape(1) if x.ndim == 0 else x
    powers = np.exp(x - x.max(dim, keepdims=True))
    return powers / powers.sum(dim, keepdims=True)


def log_softmax(x, dim):
    if x.size == 0:
        return x
    x = x.reshape(1) if x.ndim == 0 else x
    x = x - x.max(dim, keepdims=True)
    return x - np.log(np.exp(x).sum(dim, keepdims=True))


def shaped(function):
    return lambda x, dim: function(x, dim).reshape(x.shape)


SOFTMAXES = [
    call(X, 0),
    call(X, -1),
    call(BATCH, 1),
    call(draw(), 0),
    call(draw(0, 3), 1),
    call(draw(3, 0), 1),
    call(draw(4) + 1000, 0),
    call(X, dim=1),
    call(draw(3, 150), 1),
]
WIDER = [call(X, 1, dtype=taut.float64), call(X, dim=0, dtype=taut.float64)]
for name, function in (("softmax", softmax), ("log_softmax", log_softmax)):
    row(
        name,
        shaped(function),
        *SOFTMAXES,
        call(np.array([[-np.inf, 0.0], [1.0, -np.inf]]), 1),
        also=["special." + name, F + name],
        loose=4,
    )
    row(
        name, shaped(function), *WIDER, dtypes=(taut.float32, taut.float16), also=["special." + name, F + name], loose=4
    )
row(F + "softmin", shaped(lambda x, dim: softmax(-x, dim)), *SOFTMAXES, loose=4)


# ---- Losses -----------------------------------------------------------------------------------------
def reduced(losses, reduction="mean"):
    return np.asarray({"none": lambda x: x, "mean": np.mean, "sum": np.sum}[reduction](losses))


def loss(function):
    """The reductions that every loss has, around what it is for each number."""
    return lambda *args, reduction="mean", **options: reduced(function(*args, **options), reduction)


def with_reductions(*calls):
    return [
        call(*one.args, **one.kwargs, **more)
        for one in calls
        for more in ({}, {"reduction": "none"}, {"reduction": "sum"})
    ]


def smooth_l1(x, y, beta=1.0):
    error = np.abs(x - y)
    return np.where(error < beta, 0.5 * error**2 / beta, error - 0.5 * beta) if beta else error


def huber(x, y, delta=1.0):
    error = np.abs(x - y)
    return np.where(error <= delta, 0.5 * error**2, delta * (error - 0.5 * delta))


Y = draw(3, 5)
SIGNS = np.where(mask(3, 5), 1.0, -1.0)
P, Q = draw(3, 5, low=0.05, high=0.95), draw(3, 5, low=0, high=1)
LOOSE = {"loose": 8}
row(
    F + "mse_loss",
    loss(lambda x, y: (x - y) ** 2),
    *with_reductions(call(X, Y)),
    call(draw(0), draw(0), reduction="sum"),
    call(draw(), draw()),
    **LOOSE,
)
row(F + "l1_loss", loss(lambda x, y: np.abs(x - y)), *with_reductions(call(X, Y)), **LOOSE)
row(
    F + "smooth_l1_loss",
    loss(smooth_l1),
    *with_reductions(call(X, Y), call(X, Y, beta=2.0), call(X, Y, beta=0.0)),
    **LOOSE,
)
row(F + "huber_loss", loss(huber), *with_reductions(call(X, Y), call(X, Y, delta=2.0)), **LOOSE)
row(F + "soft_margin_loss", loss(lambda x, y: np.log1p(np.exp(-x * y))), *with_reductions(call(X, SIGNS)), **LOOSE)
row(
    F + "hinge_embedding_loss",
    loss(lambda x, y, margin=1.0: np.where(y == 1, x, np.maximum(0, margin - x))),
    *with_reductions(call(X, SIGNS), call(X, SIGNS, margin=2.0)),
    **LOOSE,
)
row(
    F + "margin_ranking_loss",
    loss(lambda a, b, y, margin=0.0: np.maximum(0, -y * (a - b) + margin)),
    *with_reductions(call(X, Y, SIGNS), call(X, Y, SIGNS, margin=0.5)),
    **LOOSE,
)


def bce(p, y, weight=1.0):
    return -weight * (y * np.maximum(np.log(p), -100) + (1 - y) * np.maximum(np.log1p(-p), -100))


def bce_with_logits(x, y, weight=1.0, pos_weight=1.0):
    return weight * ((1 - y) * x + (1 + (pos_weight - 1) * y) * np.log1p(np.exp(-x)))


row(
    F + "binary_cross_entropy",
    loss(bce),
    *with_reductions(call(P, Q), call(P, Q, draw(5, low=0, high=2))),
    call(np.array([0.0, 1.0]), np.array([1.0, 1.0])),
    **LOOSE,
)
row(
    F + "binary_cross_entropy_with_logits",
    loss(bce_with_logits),
    *with_reductions(call(X, Q), call(X, Q, draw(3, 5, low=0, high=2)), call(X, Q, pos_weight=draw(5, low=0, high=2))),
    **LOOSE,
)


def kl_div(x, y, reduction="mean", log_target=False):
    losses = np.exp(y) * (y - x) if log_target else np.where(y > 0, y * (np.log(np.where(y > 0, y, 1)) - x), 0)
    return np.asarray(losses.sum() / x.shape[0]) if reduction == "batchmean" else reduced(losses, reduction)


row(
    F + "kl_div",
    kl_div,
    *with_reductions(call(X, Q), call(X, Y, log_target=True)),
    call(X, Q, reduction="batchmean"),
    call(X, np.zeros((3, 5))),
    **LOOSE,
)


def poisson(x, y, log_input=True, full=False, eps=1e-8):
    losses = np.exp(x) - y * x if log_input else x - y * np.log(x + eps)
    if full:
        safe = np.where(y > 1, y, 1)
        losses = losses + np.where(y > 1, y * np.log(safe) - y + 0.5 * np.log(2 * np.pi * safe), 0)
    return losses


COUNTS = np.round(draw(3, 5, low=0, high=6))
row(
    F + "poisson_nll_loss",
    loss(poisson),
    *with_reductions(
        call(X, COUNTS), call(X, COUNTS, full=True), call(draw(3, 5, low=0.25, high=4), COUNTS, log_input=False)
    ),
    loose=20,
)


def gaussian(x, y, var, full=False, eps=1e-6):
    var = np.maximum(var, eps)
    return 0.5 * (np.log(var) + (x - y) ** 2 / var) + (0.5 * math.log(2 * math.pi) if full else 0)


VAR = draw(3, 5, low=0.25, high=2)
row(
    F + "gaussian_nll_loss",
    loss(gaussian),
    *with_reductions(call(X, Y, VAR), call(X, Y, VAR, full=True)),
    call(X, Y, draw(3, 1, low=0.25, high=2)),
    loose=20,
)


def nll(x, target, weight=None, ignore_index=-100, reduction="mean"):
    if x.ndim == 1:
        x, target, single = x[None], target[None], True
    else:
        single = False
    weight = np.ones(x.shape[1]) if weight is None else weight
    kept = target != ignore_index
    safe = np.where(kept, target, 0)
    picked = -np.take_along_axis(x, safe[:, None], 1)[:, 0]
    scale = weight[safe] * kept
    losses = np.where(kept, picked * scale, 0)
    if reduction == "mean":
        return np.asarray(losses.sum() / scale.sum())
    return np.asarray(losses.sum() if reduction == "sum" else losses[0] if single else losses)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    classes = 0 if x.ndim == 1 else 1
    logs = log_softmax(x, classes)
    shape = [1] * x.ndim
    shape[classes] = -1
    scales = np.ones(x.shape[classes]) if weight is None else weight
    if target.dtype.kind == "f":
        target = target * (1 - label_smoothing) + label_smoothing / x.shape[classes]
        losses = -(target * logs * scales.reshape(shape)).sum(classes)
        count = losses.size
    else:
        losses = nll(logs, target, weight, ignore_index, "none")
        kept = target != ignore_index
        count = (scales[np.where(kept, target, 0)] * kept).sum()
        smooth = -(logs * scales.reshape(shape)).sum(classes) * kept
        losses = (1 - label_smoothing) * losses + label_smoothing / x.shape[classes] * smooth
    return np.asarray(losses.sum() / count if reduction == "mean" else losses.sum() if reduction == "sum" else losses)


LABELS = np.array([4, 0, 2])
SOME = np.array([4, -100, 2])
IMAGES, IMAGE_LABELS = draw(2, 4, 3, 2), integers(2, 3, 2, high=4)
SCALES = draw(5, low=0.25, high=2)
CLASSES = with_reductions(
    call(X, LABELS),
    call(X, SOME),
    call(X, LABELS, SCALES),
    call(X, SOME, weight=SCALES),
    call(X, LABELS, ignore_index=2),
    call(draw(5), np.array(3)),
    call(IMAGES, IMAGE_LABELS),
)
row(F + "nll_loss", nll, *CLASSES, call(draw(0, 5), np.zeros(0, int)), **LOOSE)
SOFT = Q / Q.sum(1, keepdims=True)
row(
    F + "cross_entropy",
    cross_entropy,
    *CLASSES,
    *with_reductions(
        call(X, LABELS, label_smoothing=0.25),
        call(X, SOME, SCALES, label_smoothing=0.1),
        call(X, SOFT),
        call(X, SOFT, SCALES),
        call(X, SOFT, label_smoothing=0.5),
        call(draw(5), draw(5, low=0, high=1)),
        call(IMAGES, IMAGE_LABELS, label_smoothing=0.1),
    ),
    call(draw(2, 5) * 300, np.array([0, 4])),
    **LOOSE,
)


def cosine_similarity(a, b, dim=1, eps=1e-8):
    norms = np.sqrt((a * a).sum(dim)), np.sqrt((b * b).sum(dim))
    return (a * b).sum(dim) / (np.maximum(norms[0], eps) * np.maximum(norms[1], eps))


def pairwise_distance(a, b, p=2.0, eps=1e-6, keepdim=False):
    return (np.abs(a - b + eps) ** p).sum(-1, keepdims=keepdim) ** (1 / p)


def cosine_embedding(a, b, y, margin=0.0):
    cosine = (a * b).sum(-1) / np.sqrt(((a * a).sum(-1) + 1e-12) * ((b * b).sum(-1) + 1e-12))
    return np.where(y == 1, 1 - cosine, np.maximum(0, cosine - margin))


def triplet(a, p, n, margin=1.0, p_norm=2.0, eps=1e-6, swap=False):
    near, far = pairwise_distance(a, p, p_norm, eps), pairwise_distance(a, n, p_norm, eps)
    if swap:
        far = np.minimum(far, pairwise_distance(p, n, p_norm, eps))
    return np.maximum(0, near - far + margin)


row(
    F + "cosine_similarity",
    lambda *a, **k: np.asarray(cosine_similarity(*a, **k)),
    call(X, Y),
    call(X, Y, 0),
    call(draw(4), draw(4), dim=0),
    call(X, draw(1, 5), dim=-1),
    loose=8,
)
row(
    F + "pairwise_distance",
    pairwise_distance,
    call(X, Y),
    call(X, Y, 1.0),
    call(X, Y, p=3.0, keepdim=True),
    call(X, draw(1, 5)),
    loose=20,
)
row(
    F + "cosine_embedding_loss",
    loss(cosine_embedding),
    *with_reductions(call(X, Y, np.array([1.0, -1.0, 1.0])), call(X, Y, np.array([-1.0, -1.0, 1.0]), margin=0.5)),
    loose=20,
)
row(
    F + "triplet_margin_loss",
    loss(triplet),
    *with_reductions(call(X, Y, draw(3, 5)), call(X, Y, draw(3, 5), margin=2.0, swap=True)),
    loose=20,
)
row(
    F + "normalize",
    lambda x, p=2.0, dim=1, eps=1e-12: x / np.maximum((np.abs(x) ** p).sum(dim, keepdims=True) ** (1 / p), eps),
    call(X),
    call(X, 1.0),
    call(X, dim=0),
    call(X, 3.0, -1),
    loose=4,
)
# Their eps is nothing in float16, as in PyTorch: zeros are tried in the wide dtypes alone.
row(F + "normalize", np.asarray, call(np.zeros((2, 3))), dtypes=(taut.float64, taut.float32, taut.bfloat16))
row(
    F + "cosine_similarity",
    lambda a, b: np.zeros(2),
    call(np.zeros((2, 3)), draw(2, 3)),
    dtypes=(taut.float64, taut.float32, taut.bfloat16),
)


# ---- Normalisation ----------------------------------------------------------------------------------
def standard(x, axes, eps):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axes, keepdims=True) + eps)


def channels(x, values):
    return 1.0 if values is None else values.reshape([1, -1] + [1] * (x.ndim - 2))


def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    count = 1 if isinstance(shape, int) else len(shape)
    result = standard(x, tuple(range(-count, 0)), eps)
    return result * (1 if weight is None else weight) + (0 if bias is None else bias)


def rms_norm(x, shape, weight=None, eps=None):
    axes = tuple(range(-1 if isinstance(shape, int) else -len(shape), 0))
    result = x / np.sqrt((x * x).mean(axes, keepdims=True) + (2.0**-23 if eps is None else eps))
    return result * (1 if weight is None else weight)


def add_layer_norm(x, residual, *args, **kwargs):
    return layer_norm(x + residual, *args, **kwargs), x + residual


def add_rms_norm(x, residual, *args, **kwargs):
    return rms_norm(x + residual, *args, **kwargs), x + residual


def group_norm(x, groups, weight=None, bias=None, eps=1e-5):
    parts = x.reshape(x.shape[0], groups, -1)
    result = standard(parts, (2,), eps).reshape(x.shape) if x.size else x
    return result * channels(x, weight) + (0 if bias is None else channels(x, bias))


def instance_norm(x, weight=None, bias=None, eps=1e-5):
    result = standard(x, tuple(range(2, x.ndim)), eps)
    return result * channels(x, weight) + (0 if bias is None else channels(x, bias))


def batch_norm(x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    if training:
        result = standard(x, (0, *range(2, x.ndim)), eps)
    else:
        result = (x - channels(x, mean)) / np.sqrt(channels(x, var) + eps)
    return result * channels(x, weight) + (0 if bias is None else channels(x, bias))


def batch_norm_relu(*args, residual=0, **options):
    return np.maximum(batch_norm(*args, **options) + residual, 0)


G, H = draw(4), draw(4)
MEAN, SPREAD = draw(4), draw(4, low=0.25, high=2)
NORM = {"loose": 12}
row(
    F + "layer_norm",
    layer_norm,
    call(X, (5,)),
    call(X, 5),
    call(X, (5,), draw(5), draw(5)),
    call(BATCH, (4, 3), draw(4, 3)),
    call(BATCH, [3], None, draw(3)),
    call(X, (5,), eps=0.5),
    call(draw(0, 5), (5,)),
    call(draw(2, 200), (200,)),
    **NORM,
)
row(
    F + "rms_norm",
    rms_norm,
    call(X, (5,), eps=1e-5),
    call(X, 5, draw(5), 0.5),
    call(BATCH, (4, 3), draw(4, 3), eps=1e-5),
    call(draw(0, 5), (5,), eps=1e-5),
    **NORM,
)
row(
    F + "add_layer_norm",
    add_layer_norm,
    call(X, draw(3, 5), (5,)),
    call(X, draw(3, 5), 5, draw(5), draw(5)),
    call(X, draw(5), [5], None, draw(5)),
    call(BATCH, draw(2, 1, 3), (4, 3), draw(4, 3), eps=0.5),
    call(draw(0, 5), draw(0, 5), (5,)),
    call(draw(2, 200), draw(2, 200), (200,), draw(200), draw(200)),
    gives=(SAME, SAME),
    **NORM,
)
row(
    F + "add_rms_norm",
    add_rms_norm,
    call(X, draw(3, 5), (5,), eps=1e-5),
    call(X, draw(5), 5, draw(5), 0.5),
    call(BATCH, BATCH[0], (4, 3), draw(4, 3), eps=1e-5),
    call(draw(0, 5), draw(0, 5), (5,), eps=1e-5),
    gives=(SAME, SAME),
    **NORM,
)
row(
    F + "group_norm",
    group_norm,
    call(BATCH, 2),
    call(BATCH, 1, G, H),
    call(BATCH, 4, G),
    call(draw(2, 4, 3, 2), 2, G, H, 0.5),
    call(draw(3, 4), 2),
    **NORM,
)
row(
    F + "instance_norm",
    instance_norm,
    call(BATCH),
    call(BATCH, weight=G, bias=H),
    call(draw(2, 4, 3, 2), eps=0.5),
    **NORM,
)
row(
    F + "batch_norm",
    batch_norm,
    call(BATCH, MEAN, SPREAD),
    call(draw(5, 4), MEAN, SPREAD, G, H),
    call(draw(2, 4, 3, 2), MEAN, SPREAD, G, H, False, 0.1, 0.5),
    call(BATCH, None, None, G, H, training=True),
    call(draw(6, 4), None, None, training=True),
    call(draw(0, 4), MEAN, SPREAD),
    **NORM,
)
row(
    F + "batch_norm_relu",
    batch_norm_relu,
    call(BATCH, MEAN, SPREAD),
    call(draw(5, 4), MEAN, SPREAD, G, H),
    call(draw(5, 4), MEAN, SPREAD, G, H, residual=draw(5, 4)),
    call(draw(2, 4, 3, 2), MEAN, SPREAD, G, H, False, 0.1, 0.5),
    call(draw(2, 4, 3, 2), None, None, G, H, training=True, residual=draw(2, 4, 3, 2)),
    call(draw(6, 4), None, None, training=True),
    call(draw(0, 4), MEAN, SPREAD),
    **NORM,
)
