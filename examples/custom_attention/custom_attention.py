"""A fused attention op, added to Taut from outside: example::attention.

On a GPU the kernels of attention.cu make it, compiled at run time; on the CPU, and for second derivatives, it is a few ops.

    from custom_attention import attention
    y = attention(query, key, value, is_causal=True)     # (batch, heads, length, 64)

Run as a program it compares both with taut.nn.functional.scaled_dot_product_attention.
"""

import functools
import math
from pathlib import Path

import taut

ROWS = 64  # of a tile: what a block of the kernels makes
WIDTH = 64  # of a head
THREADS = 128
SOURCE = Path(__file__).with_name("attention.cu")
CUDA_TYPES = {taut.float32: "float", taut.float16: "__half", taut.bfloat16: "__nv_bfloat16"}

# Bytes of shared memory; attention.cu checks them when it is compiled. Rows are padded.
FLOAT_TILE = ROWS * 68 * 4


def memory_of(dtype):
    """The shared memory of the forward and the backward kernels, in bytes."""
    tile = FLOAT_TILE if dtype == taut.float32 else ROWS * 72 * 2
    return 3 * tile + 2 * FLOAT_TILE + ROWS * 4, 4 * tile + 4 * FLOAT_TILE


@functools.lru_cache(maxsize=None)
def kernel(name, dtype):
    """A kernel of attention.cu for a dtype. It is compiled when it is first launched."""
    forward_bytes, backward_bytes = memory_of(dtype)
    options = [f"-DFORWARD_BYTES={forward_bytes}", f"-DBACKWARD_BYTES={backward_bytes}"]
    return taut.cuda.Kernel(SOURCE.read_text(), f"{name}<{CUDA_TYPES[dtype]}>", options=options)


def check(query, key, value, *, is_causal, scale):
    if query.dim() != 4 or key.dim() != 4 or key.shape != value.shape or query.shape[:2] != key.shape[:2]:
        raise taut.ShapeError(
            "example::attention: expected query (batch, heads, queries, 64), key and value (batch, heads, keys, 64); "
            f"got {tuple(query.shape)}, {tuple(key.shape)} and {tuple(value.shape)}"
        )
    if query.shape[3] != WIDTH or key.shape[3] != WIDTH or key.shape[2] == 0:
        raise taut.ShapeError(f"example::attention: expected heads of 64 and some keys; got {tuple(query.shape)} and {tuple(key.shape)}")
    if not query.dtype == key.dtype == value.dtype or not query.is_floating_point():
        raise taut.DTypeError(
            f"example::attention: expected tensors of one floating dtype; got {query.dtype}, {key.dtype} and {value.dtype}"
        )


def composed(query, key, value, *, is_causal, scale):
    scores = query @ key.transpose(-2, -1) * scale
    if is_causal:
        visible = taut.ones(query.shape[2], key.shape[2], dtype=taut.bool, device=query.device).tril()
        scores = scores.masked_fill(visible.logical_not(), -math.inf)
    return scores.softmax(-1) @ value


def aligned(x):
    """Contiguous, and where the kernels may read 16 bytes at a time."""
    x = x.contiguous()
    return x if x.data_ptr() % 16 == 0 else x.clone()


def tiles(length):
    return (length + ROWS - 1) // ROWS


def cuda_forward(ctx, query, key, value, *, is_causal, scale):
    if query.dtype not in CUDA_TYPES:
        raise taut.DTypeError(f"example::attention: the GPU has it in float32 and 16-bit floats; got {query.dtype}")
    query, key, value = aligned(query), aligned(key), aligned(value)
    batch, heads, queries, _ = query.shape
    output = taut.empty_like(query)
    log_sums = taut.empty(batch, heads, queries, dtype=taut.float32, device=query.device)
    if output.numel() > 0:
        kernel("attention_forward", query.dtype)(
            (tiles(queries), batch * heads), THREADS,
            (query, key, value, output, log_sums, queries, key.shape[2], scale, is_causal),
            shared_memory=memory_of(query.dtype)[0],
        )
    ctx.save_for_backward(query, key, value, output, log_sums)
    return output


def cuda_backward(ctx, grad):
    query, key, value, output, log_sums = ctx.saved_tensors
    if grad.numel() == 0:
        return taut.zeros_like(query), taut.zeros_like(key), taut.zeros_like(value)
    grad = aligned(grad)
    batch, heads, queries, _ = query.shape
    keys = key.shape[2]
    delta = (grad.float() * output.float()).sum(-1)
    given = (query, key, value, grad, log_sums, delta)
    sizes = (queries, keys, ctx.attributes["scale"], ctx.attributes["is_causal"])
    grad_query = grad_key = grad_value = None
    if ctx.needs_input_grad[0]:
        grad_query = taut.empty_like(query)
        kernel("attention_backward_queries", query.dtype)(
            (tiles(queries), batch * heads), THREADS, (*given, grad_query, *sizes), memory_of(query.dtype)[1]
        )
    if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
        grad_key, grad_value = taut.empty_like(key), taut.empty_like(value)
        kernel("attention_backward_keys", query.dtype)(
            (tiles(keys), batch * heads), THREADS, (*given, grad_key, grad_value, *sizes), memory_of(query.dtype)[1]
        )
    return grad_query, grad_key, grad_value


op = taut.CustomOp(
    "example::attention", ["query", "key", "value"], attributes={"is_causal": False, "scale": 1 / math.sqrt(WIDTH)},
    check=check, composed=composed, autocast="lower_dtype",
)
op.implement("cuda", cuda_forward, backward=cuda_backward)


def attention(query, key, value, *, is_causal=False, scale=1 / math.sqrt(WIDTH)):
    """softmax(query key^T * scale) value, over heads of 64; with is_causal position i sees positions up to i."""
    return op(query, key, value, is_causal=is_causal, scale=scale)


def main():
    device = "cuda" if taut.cuda.is_available() else "cpu"
    for dtype in (taut.float32, taut.bfloat16):
        query, key, value = (taut.randn(2, 3, 200, WIDTH, dtype=dtype, device=device, requires_grad=True) for _ in range(3))
        results = []
        for function in (attention, taut.nn.functional.scaled_dot_product_attention):
            y = function(query, key, value, is_causal=True)
            results.append((y, *taut.autograd.grad(y.float().square().sum(), (query, key, value))))
        worst = max((a.float() - b.float()).abs().max().item() for a, b in zip(*results))
        print(f"{device} {dtype}: result and gradients differ from Taut's own by at most {worst:.2g}")


if __name__ == "__main__":
    main()
