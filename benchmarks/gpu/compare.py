#!/usr/bin/env python3
"""Ops on the GPU in Taut and in PyTorch, by turns in one process, with the ratio of their times.

    PYTHONPATH=build/gpu/python python3 benchmarks/gpu/compare.py [CASE ...]

Times of large ops are of queued calls, divided by their number; those of small ones are what the host takes.
"""

import argparse
import time
from functools import partial

import taut
import torch

SEED = 3


def seconds_of(library, run, calls):
    run()
    library.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        run()
    library.cuda.synchronize()
    return (time.perf_counter() - start) / calls


class Table:
    def __init__(self, wanted):
        self.wanted = wanted
        self.copy_rate = None
        print("| case | Taut | PyTorch | ratio | of the limit |\n|---|---|---|---|---|", flush=True)

    def row(self, name, make, calls=30, turns=5, bytes_moved=None, flops=None, peak=None, warm_up=1):
        """`make(library)` gives the call to time. The limit is the rate of a copy, or `peak` in FLOP/s."""
        if self.wanted and not any(word in name for word in self.wanted):
            return None
        ours, theirs = make(taut), make(torch)
        for _ in range(warm_up):
            ours(), theirs()
        times = [[seconds_of(taut, ours, calls), seconds_of(torch, theirs, calls)] for _ in range(turns)]
        best = [min(column) for column in zip(*times)]
        limit = ""
        if bytes_moved:
            rate = bytes_moved / best[0] / 1e9
            self.copy_rate = self.copy_rate or rate
            limit = f"{rate / self.copy_rate:.2f} ({rate:.0f} GB/s)"
        elif flops:
            limit = f"{flops / best[0] / 1e12:.0f} TFLOP/s; PyTorch {flops / best[1] / 1e12:.0f}"
        scale, unit = (1e6, "us") if best[0] < 1e-3 else (1e3, "ms")
        print(f"| {name} | {best[0] * scale:.4g} {unit} | {best[1] * scale:.4g} {unit} | {best[0] / best[1]:.3f} | {limit} |", flush=True)
        return best


def on_gpu(library, *shape, dtype="float32"):
    library.manual_seed(SEED)
    return library.randn(*shape, device="cuda", dtype=getattr(library, dtype))


def memory_bound(table):
    n = 1 << 28
    size = 4 * n

    def unary(name):
        def make(library):
            x = on_gpu(library, n)
            function = getattr(library, name, None) or getattr(library.nn.functional, name)
            return lambda: function(x)

        return make

    table.row("copy, 1 GiB", unary("clone"), bytes_moved=2 * size)

    def add(library):
        x, y = on_gpu(library, n), on_gpu(library, n)
        return lambda: x + y

    table.row("add, 1 GiB", add, bytes_moved=3 * size)
    table.row("exp, 1 GiB", unary("exp"), bytes_moved=2 * size)
    table.row("gelu, 1 GiB", unary("gelu"), bytes_moved=2 * size)
    table.row("sum of 1 GiB", unary("sum"), bytes_moved=size)
    rows, cols = 16384, 4096
    for dtype, item in (("bfloat16", 2), ("float32", 4)):
        size = rows * cols * item

        def softmax(library, dtype=dtype):
            x = on_gpu(library, rows, cols, dtype=dtype)
            return lambda: library.softmax(x, -1)

        def layer_norm(library, dtype=dtype):
            x = on_gpu(library, rows, cols, dtype=dtype)
            w = library.ones(cols, device="cuda", dtype=x.dtype)
            b = library.zeros(cols, device="cuda", dtype=x.dtype)
            return lambda: library.nn.functional.layer_norm(x, (cols,), w, b)

        def sum_rows(library, dtype=dtype):
            x = on_gpu(library, rows, cols, dtype=dtype)
            return lambda: x.sum(1)

        def gelu(library, dtype=dtype):
            x = on_gpu(library, rows, cols, dtype=dtype)
            return lambda: library.nn.functional.gelu(x)

        table.row(f"softmax, 16384 x 4096, {dtype}", softmax, bytes_moved=2 * size)
        table.row(f"layer_norm, 16384 x 4096, {dtype}", layer_norm, bytes_moved=2 * size)
        table.row(f"sum of rows, 16384 x 4096, {dtype}", sum_rows, bytes_moved=size)
        table.row(f"gelu, 16384 x 4096, {dtype}", gelu, bytes_moved=2 * size)


def with_gradients(library, call, inputs, backward):
    """A call alone, or with the gradients of its inputs by ones."""
    if not backward:
        return lambda: call(*inputs)
    inputs = [each.requires_grad_() for each in inputs]
    outputs = call(*inputs)
    outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    grads = [library.ones_like(each) for each in outputs]
    return lambda: library.autograd.grad(outputs, inputs, grads, retain_graph=True)


def fused_pairs(table):
    """Neighbours that are one op in Taut, against what one writes in PyTorch. The limit counts each tensor once."""
    rows, cols = 16384, 768
    for dtype, item in (("bfloat16", 2), ("float32", 4)):
        size = rows * cols * item

        def tensors(library, count, *shape, dtype=dtype):
            return [on_gpu(library, *shape, dtype=dtype) for _ in range(count)]

        def add_norm(library, rms=False, backward=False):
            F = library.nn.functional
            x, residual = tensors(library, 2, rows, cols)
            weight, bias = tensors(library, 2, cols)

            def call(x, residual, weight, bias):
                if library is taut:
                    return F.add_rms_norm(x, residual, cols, weight, 1e-5) if rms else F.add_layer_norm(x, residual, cols, weight, bias)
                total = x + residual
                norm = F.rms_norm(total, (cols,), weight, 1e-5) if rms else F.layer_norm(total, (cols,), weight, bias)
                return norm, total

            if not rms:
                return with_gradients(library, call, [x, residual, weight, bias], backward)
            return with_gradients(library, lambda *given: call(*given, None), [x, residual, weight], backward)

        def dropout_add(library, backward=False):
            F = library.nn.functional

            def call(x, residual):
                return F.dropout_add(x, residual, 0.1) if library is taut else F.dropout(x, 0.1) + residual

            return with_gradients(library, call, tensors(library, 2, rows, cols), backward)

        def swiglu(library, backward=False):
            F = library.nn.functional

            def call(both):
                if library is taut:
                    return F.swiglu(both)
                gate, up = both.chunk(2, -1)
                return F.silu(gate) * up

            return with_gradients(library, call, tensors(library, 1, rows, 2 * cols), backward)

        def qkv_rotary(library, backward=False):
            batch, length, heads, width = 16, 1024, 12, 64
            angles = on_gpu(library, length, width // 2)
            cos, sin = angles.cos(), angles.sin()
            wide_cos, wide_sin = library.cat([cos, cos], -1), library.cat([sin, sin], -1)

            def turned(x):  # as in Llama of transformers
                low, high = x[..., : width // 2], x[..., width // 2 :]
                half = library.cat([-high, low], -1)
                return (x * wide_cos + half * wide_sin).to(x.dtype)

            def call(qkv):
                if library is taut:
                    return library.nn.functional.rotary_qkv(qkv, cos, sin, heads)
                q, k, v = (part.view(batch, length, heads, width).transpose(1, 2) for part in qkv.split(heads * width, 2))
                return turned(q), turned(k), v

            return with_gradients(library, call, tensors(library, 1, batch, length, 3 * heads * width), backward)

        for name, make, forward, back in (
            ("add_layer_norm", add_norm, 4, 4),
            ("add_rms_norm", partial(add_norm, rms=True), 4, 4),
            ("dropout_add", dropout_add, 3, 2),
            ("swiglu", swiglu, 3, 5),
            ("rotary_qkv", qkv_rotary, 4, 6),
        ):
            table.row(f"{name}, 16384 x 768, {dtype}", make, bytes_moved=forward * size)
            table.row(f"{name} backward, 16384 x 768, {dtype}", partial(make, backward=True), bytes_moved=back * size)


def products(table):
    for size in (1024, 4096, 8192):

        def matmul(library, size=size):
            a, b = on_gpu(library, size, size, dtype="bfloat16"), on_gpu(library, size, size, dtype="bfloat16")
            return lambda: a @ b

        table.row(f"matmul {size}, bfloat16", matmul, flops=2 * size**3)

    def matmul32(library):
        a, b = on_gpu(library, 4096, 4096), on_gpu(library, 4096, 4096)
        return lambda: a @ b

    table.row("matmul 4096, float32", matmul32, flops=2 * 4096**3)
    for batch, length, heads, width in ((16, 1024, 12, 64), (4, 4096, 16, 128)):
        flops = 2 * batch * heads * length * length * width  # half of the scores are masked

        def attention(library, shape=(batch, heads, length, width), backward=False):
            q, k, v = (on_gpu(library, *shape, dtype="bfloat16") for _ in range(3))
            if not backward:
                return lambda: library.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            leaves = [x.requires_grad_() for x in (q, k, v)]
            grad = on_gpu(library, *shape, dtype="bfloat16")

            def step():
                y = library.nn.functional.scaled_dot_product_attention(*leaves, is_causal=True)
                y.backward(grad)
                for leaf in leaves:
                    leaf.grad = None

            return step

        # Taut makes plans of a shape only when it turns up often.
        name = f"causal attention, B{batch} H{heads} T{length} D{width}, bfloat16"
        table.row(name, attention, flops=flops, calls=100, warm_up=150)
        table.row(
            name + ", with backward",
            lambda library, make=attention: make(library, backward=True),
            flops=3.5 * flops,
            calls=100,
            warm_up=150,
        )

    def new_lengths(library):
        seen = iter(range(256, 1 << 20, 16))

        def run():
            for _, length in zip(range(100), seen):
                q, k, v = (on_gpu(library, 2, 4, length, 64, dtype="bfloat16").requires_grad_() for _ in range(3))
                library.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()

        return run

    table.row("causal attention with backward, 100 new lengths", new_lengths, calls=1, turns=1)


def transformers(table):
    """A layer of GPT-2's size on 16 x 1024 tokens, forward and backward, as torch.nn and taut.nn have it."""
    batch, length, width, heads, hidden = 16, 1024, 768, 12, 3072
    weights = 4 * width * width + 2 * width * hidden
    flops = 6 * batch * length * weights + 3.5 * 2 * batch * heads * length * length * (width // heads)

    def step(library, **options):
        nn = library.nn
        layer = nn.TransformerEncoderLayer(width, heads, hidden, activation=nn.GELU("tanh"), **options).to("cuda", dtype=library.bfloat16)
        shape = (batch, length, width) if options.get("batch_first") else (length, batch, width)
        x, grad = on_gpu(library, *shape, dtype="bfloat16").requires_grad_(), on_gpu(library, *shape, dtype="bfloat16")
        # PyTorch wants the mask, too, and does not read it.
        mask = nn.Transformer.generate_square_subsequent_mask(length, device="cuda", dtype=library.bfloat16)

        def run():
            layer(x, mask, is_causal=True).backward(grad)
            x.grad = None
            layer.zero_grad()

        return run

    for name, options in (
        ("norm first", dict(norm_first=True, dropout=0.0, batch_first=True)),
        ("norm last", dict(dropout=0.0, batch_first=True)),
        ("norm first, batch second", dict(norm_first=True, dropout=0.0)),
        ("norm first, dropout 0.1", dict(norm_first=True, dropout=0.1, batch_first=True)),
    ):
        table.row(
            f"TransformerEncoderLayer with backward, {name}, bfloat16", partial(step, **options), flops=flops, warm_up=60
        )

    def attend(library, need_weights):
        nn = library.nn
        layer = nn.MultiheadAttention(width, heads, batch_first=True).to("cuda", dtype=library.bfloat16)
        x = on_gpu(library, batch, length, width, dtype="bfloat16").requires_grad_()

        def run():
            layer(x, x, x, need_weights=need_weights)[0].sum().backward()

        return run

    table.row("MultiheadAttention with backward, bfloat16", partial(attend, need_weights=False), warm_up=60)
    table.row("MultiheadAttention with weights and backward, bfloat16", partial(attend, need_weights=True))


def convolutions(table):
    """ResNet's, forward and backward, in bfloat16 with channels last; and what shapes cost that are new."""

    def step(library, batch, channels, side, wanted=64, kernel=3):
        def prepared(*shape):
            return on_gpu(library, *shape, dtype="bfloat16").contiguous(memory_format=library.channels_last).requires_grad_()

        x, w = prepared(batch, channels, side, side), prepared(wanted, channels, kernel, kernel)

        def run():
            library.nn.functional.conv2d(x, w, padding=kernel // 2).sum().backward()
            x.grad = w.grad = None

        return run

    for channels, side in ((64, 56), (256, 14)):
        flops = 3 * 2 * 64 * side * side * channels * channels * 9
        table.row(
            f"conv2d 3 x 3 with backward, N64 C{channels} {side} x {side}, bfloat16",
            lambda library, at=(64, channels, side, channels): step(library, *at),
            flops=flops,
        )

    def new_shapes(library):
        sides = iter(range(8, 1000))

        def run():
            for _, side in zip(range(20), sides):
                step(library, 4, 16, side)()

        return run

    table.row("conv2d 3 x 3 with backward, 20 new shapes", new_shapes, calls=1, turns=1)


def small_ops(table):
    def binary(library):
        a, b = on_gpu(library, 64), on_gpu(library, 64)
        return lambda: a + b

    def empty(library):
        return lambda: library.empty(64, device="cuda")

    def softmax(library):
        a = on_gpu(library, 64, 64)
        return lambda: library.softmax(a, -1)

    table.row("a + b, 64 floats", binary, calls=2000)
    table.row("empty, 64 floats", empty, calls=2000)
    table.row("softmax, 64 x 64", softmax, calls=2000)


def optimizers(table):
    shapes = [(50257, 768), (1024, 768), (768,), (768,)]
    layer = [(768,), (768,), (2304, 768), (2304,), (768, 768), (768,), (768,), (768,), (3072, 768), (3072,), (768, 3072), (768,)]
    shapes += 12 * layer

    def adamw(library, **of_taut):
        params = [on_gpu(library, *shape).requires_grad_() for shape in shapes]
        for param in params:
            param.grad = on_gpu(library, *param.shape)
        options = {"fused": True} if library is torch else of_taut
        return library.optim.AdamW(params, lr=1e-4, **options).step

    numbers = sum(int(torch.Size(shape).numel()) for shape in shapes)
    table.row("AdamW, 124 M parameters in 148 tensors", adamw, bytes_moved=7 * 4 * numbers)
    # PyTorch has no smaller state: its own is what it is measured by.
    for dtype, bytes_of_state in (("bfloat16", 2), ("int8", 1)):
        moved = (3 * 4 + 4 * bytes_of_state) * numbers
        table.row(f"AdamW, 124 M parameters, state in {dtype}", partial(adamw, state_dtype=dtype), bytes_moved=moved)


def training_steps(table):
    """Steps whose kernels are so small that what counts is how fast they are launched."""

    def step_of(library, model, shape, captured):
        model = model.to("cuda")
        x = on_gpu(library, *shape)
        y = library.randint(0, 10, (shape[0],), device="cuda")
        options = {"fused": True, "capturable": captured} if library is torch else {}
        optimizer = library.optim.AdamW(model.parameters(), lr=1e-3, **options)

        def step():
            optimizer.zero_grad()
            library.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

        return captured_step(library, step) if captured else step

    def captured_step(library, step):
        graph = library.cuda.CUDAGraph()
        side = library.cuda.Stream()
        side.wait_stream(library.cuda.current_stream())
        with library.cuda.stream(side):
            for _ in range(3):
                step()
        library.cuda.current_stream().wait_stream(side)
        with library.cuda.graph(graph):
            step()

        def replay(held=step):  # with what the step refers to, which must live as long
            graph.replay()

        return replay

    def mlp(library, captured=False):
        nn = library.nn
        layers = nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
        return step_of(library, nn.Sequential(*layers), (64, 784), captured)

    def cnn(library, captured=False):
        nn = library.nn
        layers = (
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip
        return step_of(library, nn.Sequential(*layers), (64, 1, 28, 28), captured)

    table.row("step of an MLP 784-256-128-10, batch 64, AdamW", mlp, calls=200, warm_up=5)
    table.row("step of a CNN for 28 x 28 images, batch 64, AdamW", cnn, calls=200, warm_up=5)
    table.row("captured step of that MLP", lambda library: mlp(library, captured=True), calls=200, warm_up=5)
    table.row("captured step of that CNN", lambda library: cnn(library, captured=True), calls=200, warm_up=5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="run only the cases whose names have one of these words")
    arguments = parser.parse_args()
    if not taut.cuda.is_available():
        raise SystemExit("no GPU")
    print(f"{taut.cuda.get_device_name()}, PyTorch {torch.__version__}\n")
    table = Table(arguments.cases)
    memory_bound(table)
    fused_pairs(table)
    products(table)
    transformers(table)
    convolutions(table)
    optimizers(table)
    small_ops(table)
    training_steps(table)


if __name__ == "__main__":
    main()
