"""torch.nn.functional: attention and padding."""

import math

import numpy as np

import taut
from table import ALL, FLOATS, INTS, SAME, call, draw, mask, row

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


def multi_head(
    query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn, dropout_p, out_proj_weight,
    out_proj_bias, training=True, key_padding_mask=None, need_weights=True, attn_mask=None, use_separate_proj_weight=False, q_proj_weight=None,
    k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None, average_attn_weights=True, is_causal=False,
):  # fmt: skip
    """Vaswani et al., 2017, section 3.2.2, one sample and one head after the other; sequences (length, batch, features)."""
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else np.split(in_proj_weight, 3)
    biases = (0, 0, 0) if in_proj_bias is None else np.split(in_proj_bias, 3)
    width = query.shape[-1] // num_heads
    batch = [slice(None)] if query.ndim == 2 else [(slice(None), n) for n in range(query.shape[1])]
    outputs, all_weights = [], []
    for number, sample in enumerate(batch):
        q, k, v = (x[sample] @ w.T + b for x, w, b in zip((query, key, value), weights, biases))
        if bias_k is not None:
            k, v = np.concatenate([k, bias_k[0]]), np.concatenate([v, bias_v[0]])
        if add_zero_attn:
            k, v = (np.concatenate([x, np.zeros_like(x[:1])]) for x in (k, v))
        hidden = np.zeros((num_heads, len(q), len(k)))
        keys = len(key)
        if attn_mask is not None:
            own = attn_mask if attn_mask.ndim == 2 else attn_mask[number * num_heads : (number + 1) * num_heads]
            hidden[..., :keys] += np.where(own, -np.inf, 0) if own.dtype == bool else own
        elif is_causal:
            hidden[..., :keys] += np.where(np.tri(len(q), keys, dtype=bool), 0, -np.inf)
        if key_padding_mask is not None:
            own = key_padding_mask if query.ndim == 2 else key_padding_mask[number]
            hidden[..., :keys] += np.where(own, -np.inf, 0) if own.dtype == bool else own
        mixed = []
        for head in range(num_heads):
            part = slice(head * width, (head + 1) * width)
            scores = q[:, part] @ k[:, part].T / math.sqrt(width) + hidden[head]
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            shares /= shares.sum(-1, keepdims=True)
            all_weights.append(shares)
            mixed.append(shares @ v[:, part])
        outputs.append(np.concatenate(mixed, -1) @ out_proj_weight.T + (0 if out_proj_bias is None else out_proj_bias))
    by_head = np.stack(all_weights).reshape(len(batch), num_heads, len(outputs[0]), -1)
    if average_attn_weights:
        by_head = by_head.mean(1)
    if query.ndim == 2:
        return outputs[0], by_head[0]
    return np.stack(outputs, 1), by_head


_random = np.random.default_rng(21)


def small(*shape):
    return np.round(_random.uniform(-0.75, 0.75, shape) * 64) / 64


PACKED = (4, 2, small(12, 4), small(12), None, None, False, 0.0, small(4, 4), small(4))
MORE_KEYS = (4, 1, small(12, 4), None, small(1, 1, 4), small(1, 1, 4), True, 0.5, small(4, 4), None, False)
APART = dict(use_separate_proj_weight=True, q_proj_weight=small(4, 4), k_proj_weight=small(4, 3), v_proj_weight=small(4, 5))
QUERY, KEY, VALUE = small(3, 2, 4), small(5, 2, 4), small(5, 2, 4)
LATE = np.arange(5) >= np.array([[5], [2]])
row(
    F + "multi_head_attention_forward", multi_head, call(QUERY, KEY, VALUE, *PACKED), call(QUERY, KEY, VALUE, *MORE_KEYS),
    call(QUERY, KEY, VALUE, *PACKED, attn_mask=~SEEN[:3, :5], key_padding_mask=LATE & ~np.eye(2, 5, dtype=bool)),
    call(QUERY, KEY, VALUE, *PACKED, attn_mask=small(4, 3, 5), average_attn_weights=False), call(QUERY, KEY, VALUE, *PACKED, is_causal=True),
    call(QUERY[:, 0], KEY[:, 0], VALUE[:, 0], *PACKED, key_padding_mask=LATE[1]),
    call(QUERY, small(5, 2, 3), small(5, 2, 5), 4, 2, None, small(12), None, None, False, 0.0, small(4, 4), small(4), key_padding_mask=small(2, 5), **APART),
    gives=(SAME, SAME), loose=32,  # four products and a softmax are rounded
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


# ---- Rotary embedding -------------------------------------------------------------------------------
def rotate(x, cos, sin, interleaved=False, offset=0):
    half = cos.shape[1]
    places = slice(offset, offset + x.shape[-2])
    cos, sin = cos[places], sin[places]
    turned, rest = x[..., : 2 * half], x[..., 2 * half :]
    a, b = (turned[..., ::2], turned[..., 1::2]) if interleaved else (turned[..., :half], turned[..., half:])
    first, second = a * cos - b * sin, b * cos + a * sin
    if interleaved:
        return np.concatenate([np.stack([first, second], -1).reshape(turned.shape), rest], -1)
    return np.concatenate([first, second, rest], -1)


def rotary_qkv(qkv, cos, sin, num_heads, num_kv_heads=None, interleaved=False, offset=0):
    heads, kv_heads = num_heads, num_heads if num_kv_heads is None else num_kv_heads
    batch, length, width = qkv.shape
    parts = qkv.reshape(batch, length, heads + 2 * kv_heads, width // (heads + 2 * kv_heads)).transpose(0, 2, 1, 3)
    q, k, v = np.split(parts, [heads, heads + kv_heads], 1)
    return rotate(q, cos, sin, interleaved, offset), rotate(k, cos, sin, interleaved, offset), v


def rotary_tables(positions, width, base=10000.0):
    angles = np.outer(np.arange(positions), base ** (-np.arange(0, width, 2) / width))
    return np.cos(angles), np.sin(angles)


TABLES = draw(9, 3, low=-1, high=1), draw(9, 3, low=-1, high=1)
row(
    "nn.functional.rotary_embedding",
    rotate,
    call(draw(2, 3, 5, 6), *TABLES),
    call(draw(2, 3, 5, 8), *TABLES, True, 4),
    call(draw(3, 5, 6), *TABLES, offset=2),
    call(draw(9, 7), *TABLES, interleaved=True),
    call(draw(2, 0, 5, 6), *TABLES),
    call(draw(2, 3, 0, 6), *TABLES, offset=9),
    call(draw(2, 2, 32), draw(2, 16), draw(2, 16)),
)
row(
    "nn.functional.rotary_qkv",
    rotary_qkv,
    call(draw(2, 5, 36), *TABLES, 2),
    call(draw(2, 5, 30), *TABLES, 3, 1, True, 4),
    call(draw(1, 2, 128), draw(4, 8), draw(4, 8), num_heads=4, num_kv_heads=2, offset=1),
    call(draw(0, 5, 18), *TABLES, 1),
    gives=(SAME, SAME, SAME),
)
row(
    "nn.functional.rotary_tables",
    rotary_tables,
    call(5, 8),
    call(3, 2, 500.0),
    call(0, 4),
    dtypes=(taut.float32,),
    gives=(SAME, SAME),
)
