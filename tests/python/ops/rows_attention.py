"""torch.nn.functional: attention and padding."""

import math

import numpy as np

from table import ALL, FLOATS, INTS, call, draw, mask, row

F = "nn.functional."


def attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """Vaswani et al., 2017, equation 1."""
    if enable_gqa:  # each head of keys and values serves several of queries
        groups = query.shape[-3] // key.shape[-3]
        key, value = (np.repeat(heads, groups, axis=-3) for heads in (key, value))
    scores = query @ np.swapaxes(key, -1, -2) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = np.tri(*scores.shape[-2:], dtype=bool)
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ value


Q, K, V = draw(2, 3, 5, 4), draw(2, 3, 6, 4), draw(2, 3, 6, 7)
SEEN = mask(5, 6) | np.eye(5, 6, dtype=bool)  # every query sees a key
row(
    F + "scaled_dot_product_attention", attention, call(Q, K, V), call(Q, K, V, scale=0.5), call(Q, K, V, is_causal=True),
    call(Q, K, V, SEEN), call(Q, K, V, draw(5, 6)), call(draw(5, 4), draw(6, 4), draw(6, 7)), call(draw(0, 5, 4), draw(0, 6, 4), draw(0, 6, 7)),
    call(draw(2, 4, 5, 4), draw(2, 2, 6, 4), draw(2, 2, 6, 3), enable_gqa=True), loose=16,  # scores and weights are rounded too
)  # fmt: skip


def pad(x, widths, mode="constant", value=None):
    """`widths` speak of the last dim first; negative ones cut."""
    pairs = [(0, 0)] * (x.ndim - len(widths) // 2) + list(zip(widths[::2], widths[1::2]))[::-1]
    grown = np.pad(x, [(max(before, 0), max(after, 0)) for before, after in pairs], constant_values=value or 0)
    cut = (slice(max(-before, 0), size - max(-after, 0)) for (before, after), size in zip(pairs, grown.shape))
    return grown[tuple(cut)]


X = draw(2, 3, 4)
row(
    F + "pad", pad, call(X, [1, 2]), call(X, [1, 2, 0, 3]), call(X, (1, 0, 2, 0, 0, 1), value=2.0), call(X, [-1, 2]), call(X, [0, -3]),
    call(X, [1, 1], "constant", 5.0), call(draw(0, 2), [1, 1]), call(X, [0, 0]), dtypes=ALL,
)  # fmt: skip
row(F + "pad", pad, call(X, [1, 1], "constant", -1.0), dtypes=FLOATS + INTS[:-1])
