"""Attention and transformers written out in plain ops, sequences (batch, length, features): what the layers are compared with.

`weights` are the parameters by their names in the state dict. `hidden` is what is added to the scores, of
(batch, heads, queries, keys) or broadcasting to it.
"""

import math

import taut

INFINITY = float("inf")


def part(weights, prefix):
    return {name[len(prefix) :]: tensor for name, tensor in weights.items() if name.startswith(prefix)}


def product(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias


def attention(weights, heads, query, key, value, hidden=0.0, zero_attn=False):
    """The output, and the weights of each head."""
    width = query.shape[-1] // heads
    if "in_proj_weight" in weights:
        matrices = [weights["in_proj_weight"][i * query.shape[-1] : (i + 1) * query.shape[-1]] for i in range(3)]
    else:
        matrices = [weights[name + "_proj_weight"] for name in "qkv"]
    bias = weights.get("in_proj_bias")
    biases = [None if bias is None else bias[i * query.shape[-1] : (i + 1) * query.shape[-1]] for i in range(3)]
    q, k, v = (product(x, w, b) for x, w, b in zip((query, key, value), matrices, biases))
    for name in ("bias_k", "bias_v"):
        if name in weights:
            row = weights[name] + taut.zeros(k.shape[0], 1, 1, dtype=k.dtype, device=k.device)
            k, v = (taut.cat([k, row], 1), v) if name == "bias_k" else (k, taut.cat([v, row], 1))
    if zero_attn:
        zero = taut.zeros_like(k[:, :1])
        k, v = taut.cat([k, zero], 1), taut.cat([v, zero], 1)
    outputs, all_weights = [], []
    for head in range(heads):
        part_of = slice(head * width, (head + 1) * width)
        scores = q[..., part_of] @ k[..., part_of].transpose(1, 2) / math.sqrt(width)
        if isinstance(hidden, taut.Tensor):
            scores = scores + hidden[:, head % hidden.shape[1]]
        exponents = (scores - scores.max(-1, keepdim=True).values.detach()).exp()
        all_weights.append(exponents / exponents.sum(-1, keepdim=True))
        outputs.append(all_weights[-1] @ v[..., part_of])
    output = product(taut.cat(outputs, -1), weights["out_proj.weight"], weights.get("out_proj.bias"))
    return output, taut.stack(all_weights, 1)


def norm(x, weights, eps=1e-5):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    y = (x - mean) / (variance + eps).sqrt() * weights["weight"]
    return y + weights["bias"] if "bias" in weights else y


def relu(x):
    return x * (x > 0).to(x.dtype)


def gelu(x):
    return x * (1 + taut.erf(x / math.sqrt(2))) / 2


def gelu_tanh(x):
    return x * (1 + taut.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def feed_forward(weights, x, activation):
    hidden = activation(product(x, weights["linear1.weight"], weights.get("linear1.bias")))
    return product(hidden, weights["linear2.weight"], weights.get("linear2.bias"))


def sublayers(weights, x, blocks, norm_first):
    for number, block in enumerate(blocks, 1):
        own = part(weights, f"norm{number}.")
        x = x + block(norm(x, own)) if norm_first else norm(x + block(x), own)
    return x


def encoder_layer(weights, heads, x, norm_first=False, activation=relu, hidden=0.0):
    own = part(weights, "self_attn.")
    blocks = [lambda y: attention(own, heads, y, y, y, hidden)[0], lambda y: feed_forward(weights, y, activation)]
    return sublayers(weights, x, blocks, norm_first)


def decoder_layer(weights, heads, x, memory, norm_first=False, activation=relu, hidden=0.0, memory_hidden=0.0):
    own, cross = part(weights, "self_attn."), part(weights, "multihead_attn.")
    blocks = [
        lambda y: attention(own, heads, y, y, y, hidden)[0],
        lambda y: attention(cross, heads, y, memory, memory, memory_hidden)[0],
        lambda y: feed_forward(weights, y, activation),
    ]
    return sublayers(weights, x, blocks, norm_first)


def stack(weights, layer, x):
    """`layer` is called with the weights of each layer, and its input."""
    count = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("layers."))
    for number in range(count):
        x = layer(part(weights, f"layers.{number}."), x)
    own = part(weights, "norm.")
    return norm(x, own) if own else x


def transformer(weights, heads, src, tgt, norm_first=False, activation=relu, src_hidden=0.0, tgt_hidden=0.0, memory_hidden=0.0):
    def encode(own, x):
        return encoder_layer(own, heads, x, norm_first, activation, src_hidden)

    def decode(own, x):
        return decoder_layer(own, heads, x, memory, norm_first, activation, tgt_hidden, memory_hidden)

    memory = stack(part(weights, "encoder."), encode, src)
    return stack(part(weights, "decoder."), decode, tgt)


def added(mask, dtype=taut.float64):
    """A mask as what is added to scores."""
    if mask.dtype is not taut.bool:
        return mask.to(dtype)
    return taut.zeros(mask.shape, dtype=dtype).masked_fill(mask.cpu(), -INFINITY)


def causal(queries, keys=None):
    return taut.ones(queries, keys or queries, dtype=taut.bool).triu(1)
