"""Convolutions, pooling, fold and unfold: loops over output positions, dim by dim, in one, two and three dims."""

import itertools

import numpy as np

from table import INDEX, SAME, call, distinct, draw, row

F = "nn.functional."


def each(value, count):
    return (value,) * count if value is None or isinstance(value, int) else tuple(value)


def padded(x, padding, fill=0.0):
    """x with a border around its last dims."""
    return np.pad(
        x,
        [(0, 0)] * (x.ndim - len(padding)) + [p if isinstance(p, tuple) else (p, p) for p in padding],
        constant_values=fill,
    )


def batched(function):
    """Lets a function of batches also take one sample without a batch dim."""

    def reference(x, *args, dims, **options):
        if x.ndim == dims + 1:
            result = function(x[None], *args, dims=dims, **options)
            return tuple(part[0] for part in result) if isinstance(result, tuple) else result[0]
        return function(x, *args, dims=dims, **options)

    return reference


@batched
def convolution(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, dims):
    stride, dilation = each(stride, dims), each(dilation, dims)
    kernel = weight.shape[2:]
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    if padding == "same":
        padding = [(r // 2, r - r // 2) for r in reach]
    x = padded(x, [0] * dims if padding == "valid" else each(padding, dims))
    sizes = [(size - r - 1) // s + 1 for size, r, s in zip(x.shape[2:], reach, stride)]
    result = np.zeros((x.shape[0], weight.shape[0], *sizes))
    inner, outer = weight.shape[1], weight.shape[0] // groups
    for tap in itertools.product(*map(range, kernel)):
        window = x[
            (..., *[slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, sizes, stride)])
        ]
        for g in range(groups):
            part = weight[(slice(g * outer, (g + 1) * outer), slice(None), *tap)]
            result[:, g * outer : (g + 1) * outer] += np.einsum(
                "oi,bi...->bo...", part, window[:, g * inner : (g + 1) * inner]
            )
    return result if bias is None else result + bias.reshape([-1] + [1] * dims)


@batched
def transposed_convolution(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, dims):
    stride, padding, dilation = each(stride, dims), each(padding, dims), each(dilation, dims)
    extra, kernel = each(output_padding, dims), weight.shape[2:]
    sizes = [(n - 1) * s + d * (k - 1) + 1 + e for n, s, d, k, e in zip(x.shape[2:], stride, dilation, kernel, extra)]
    inner, outer = weight.shape[0] // groups, weight.shape[1]
    result = np.zeros((x.shape[0], outer * groups, *sizes))
    for tap in itertools.product(*map(range, kernel)):
        where = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, x.shape[2:], stride)
        )
        for g in range(groups):
            part = weight[(slice(g * inner, (g + 1) * inner), slice(None), *tap)]
            block = np.einsum("io,bi...->bo...", part, x[:, g * inner : (g + 1) * inner])
            result[(slice(None), slice(g * outer, (g + 1) * outer), *where)] += block
    result = result[(..., *[slice(p, size - p) for p, size in zip(padding, sizes)])]
    return result if bias is None else result + bias.reshape([-1] + [1] * dims)


def output_size(size, kernel, stride, padding, dilation, ceil_mode):
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    # The last window must begin inside the input or its left border.
    return count - 1 if ceil_mode and (count - 1) * stride >= size + padding else count


def pooled(x, kernel_size, stride, padding, dilation, ceil_mode, dims, take):
    """`take(numbers, places)` of each window: the input's numbers inside it and their flat places, border left out."""
    kernel = each(kernel_size, dims)
    stride = kernel if stride is None else each(stride, dims)
    padding, dilation = each(padding, dims), each(dilation, dims)
    sizes = [output_size(*one, ceil_mode) for one in zip(x.shape[2:], kernel, stride, padding, dilation)]
    flat = np.arange(np.prod(x.shape[2:], dtype=int)).reshape(x.shape[2:])
    results = []
    for at in np.ndindex(*sizes):
        steps = [[a * s - p + k * d for k in range(n)] for a, s, p, n, d in zip(at, stride, padding, kernel, dilation)]
        inside = [[i for i in step if 0 <= i < size] for step, size in zip(steps, x.shape[2:])]
        # A divisor counts the border, not what lies beyond it.
        counted = np.prod([sum(i < size + p for i in step) for step, size, p in zip(steps, x.shape[2:], padding)])
        where = np.ix_(*inside)
        results.append(
            take(x[(slice(None), slice(None), *where)].reshape(*x.shape[:2], -1), flat[where].reshape(-1), counted)
        )
    if isinstance(results[0], tuple):
        return tuple(np.stack(part, -1).reshape(*x.shape[:2], *sizes) for part in zip(*results))
    return np.stack(results, -1).reshape(*x.shape[:2], *sizes)


@batched
def max_pool(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False, *, dims):
    def largest(numbers, places, counted):
        return (numbers.max(-1), places[numbers.argmax(-1)]) if return_indices else numbers.max(-1)

    return pooled(x, kernel_size, stride, padding, dilation, ceil_mode, dims, largest)


@batched
def avg_pool(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None, *, dims
):
    def average(numbers, places, counted):
        return numbers.sum(-1) / (divisor_override or (counted if count_include_pad else len(places)))

    return pooled(x, kernel_size, stride, padding, 1, ceil_mode, dims, average)


def adaptive(x, output_size, dims, take):
    sizes = [x.shape[2 + i] if size is None else size for i, size in enumerate(each(output_size, dims))]
    flat = np.arange(np.prod(x.shape[2:], dtype=int)).reshape(x.shape[2:])
    results = []
    for at in np.ndindex(*sizes):
        where = tuple(slice(a * size // n, -(-(a + 1) * size // n)) for a, size, n in zip(at, x.shape[2:], sizes))
        results.append(take(x[(..., *where)].reshape(*x.shape[:2], -1), flat[where].reshape(-1)))
    if isinstance(results[0], tuple):
        return tuple(np.stack(part, -1).reshape(*x.shape[:2], *sizes) for part in zip(*results))
    return np.stack(results, -1).reshape(*x.shape[:2], *sizes)


@batched
def adaptive_avg_pool(x, output_size, *, dims):
    return adaptive(x, output_size, dims, lambda numbers, places: numbers.mean(-1))


@batched
def adaptive_max_pool(x, output_size, return_indices=False, *, dims):
    def largest(numbers, places):
        return (numbers.max(-1), places[numbers.argmax(-1)]) if return_indices else numbers.max(-1)

    return adaptive(x, output_size, dims, largest)


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    if x.ndim == 3:
        return unfold(x[None], kernel_size, dilation, padding, stride)[0]
    kernel, dilation, stride = each(kernel_size, 2), each(dilation, 2), each(stride, 2)
    x = padded(x, each(padding, 2))
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(x.shape[2:], dilation, kernel, stride)]
    taps = []
    for tap in itertools.product(*map(range, kernel)):
        taps.append(
            x[(..., *[slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, sizes, stride)])]
        )
    columns = np.stack(taps, 2)
    return columns.reshape(x.shape[0], x.shape[1] * len(taps), -1)


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    if x.ndim == 2:
        return fold(x[None], output_size, kernel_size, dilation, padding, stride)[0]
    kernel, dilation, stride, padding = each(kernel_size, 2), each(dilation, 2), each(stride, 2), each(padding, 2)
    full = [n + 2 * p for n, p in zip(each(output_size, 2), padding)]
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(full, dilation, kernel, stride)]
    channels = x.shape[1] // (kernel[0] * kernel[1])
    result = np.zeros((x.shape[0], channels, *full))
    blocks = x.reshape(x.shape[0], channels, kernel[0] * kernel[1], *sizes)
    for i, tap in enumerate(itertools.product(*map(range, kernel))):
        result[
            (..., *[slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, sizes, stride)])
        ] += blocks[:, :, i]
    return result[(..., *[slice(p, n - p) for p, n in zip(padding, full)])]


def of(dims, function):
    return lambda *args, **options: function(*args, dims=dims, **options)


LOOSE = {"loose": 16}
C1 = [
    call(draw(2, 3, 8), draw(4, 3, 3)),
    call(draw(2, 3, 8), draw(4, 3, 3), draw(4)),
    call(draw(3, 8), draw(4, 3, 1), draw(4)),
    call(draw(1, 4, 9), draw(6, 2, 3), draw(6), 2, 1, 2, 2),
    call(draw(2, 3, 8), draw(4, 3, 5), padding="same"),
    call(draw(2, 3, 8), draw(4, 3, 2), draw(4), padding="same"),
    call(draw(3, 8), draw(4, 3, 4), padding="same", dilation=3),
    call(draw(2, 3, 8), draw(4, 3, 3), padding="valid", stride=3),
    call(draw(2, 4, 5), draw(4, 1, 2), groups=4),
    call(draw(0, 3, 8), draw(4, 3, 3)),
    call(draw(2, 3, 8), draw(4, 3, 3), None, (2,), (1,), (1,)),
]
C2 = [
    call(draw(2, 3, 6, 5), draw(4, 3, 3, 2)),
    call(draw(2, 3, 6, 5), draw(4, 3, 3, 3), draw(4), 1, 1),
    call(draw(3, 6, 5), draw(2, 3, 1, 1), draw(2)),
    call(draw(1, 4, 7, 7), draw(6, 2, 3, 3), draw(6), (2, 1), (1, 2), (1, 2), 2),
    call(draw(2, 3, 5, 5), draw(4, 3, 3, 1), padding="same", dilation=2),
    call(draw(2, 4, 5, 5), draw(4, 2, 2, 4), padding="same", dilation=(1, 3), groups=2),
    call(draw(2, 6, 4, 4), draw(12, 1, 3, 3), draw(12), groups=6, padding=1),
    call(draw(2, 3, 9, 9), draw(2, 3, 4, 4), stride=4),
    call(draw(0, 3, 6, 5), draw(4, 3, 3, 2), draw(4)),
]
C3 = [
    call(draw(1, 2, 4, 4, 3), draw(3, 2, 2, 3, 2), draw(3)),
    call(draw(2, 2, 4, 4, 4), draw(2, 1, 3, 3, 3), draw(2), 2, 1, 1, 2),
    call(draw(2, 3, 3, 3), draw(2, 2, 1, 2, 1)),
]
T1 = [
    call(draw(2, 3, 5), draw(3, 4, 3)),
    call(draw(2, 3, 5), draw(3, 4, 3), draw(4), 2, 1, 1),
    call(draw(3, 5), draw(3, 4, 2), draw(4)),
    call(draw(1, 4, 4), draw(4, 3, 3), None, 2, 0, 1, 2, 2),
]
T2 = [
    call(draw(2, 3, 4, 3), draw(3, 2, 3, 2)),
    call(draw(2, 3, 4, 3), draw(3, 2, 3, 3), draw(2), 2, 1, 1),
    call(draw(1, 4, 3, 3), draw(4, 2, 2, 2), draw(4), (2, 3), 0, (0, 1), 2),
    call(draw(3, 4, 3), draw(3, 2, 2, 2), draw(2)),
    call(draw(1, 2, 3, 3), draw(2, 2, 3, 3), dilation=2, padding=2),
]
T3 = [
    call(draw(1, 2, 2, 3, 2), draw(2, 3, 2, 2, 2), draw(3), 2),
    call(draw(2, 2, 2, 2, 2), draw(2, 1, 3, 2, 1), None, 1, (1, 0, 0)),
]
for dims, forward, backward in ((1, C1, T1), (2, C2, T2), (3, C3, T3)):
    row(f"{F}conv{dims}d", of(dims, convolution), *forward, **LOOSE)
    row(f"{F}conv_transpose{dims}d", of(dims, transposed_convolution), *backward, **LOOSE)

SIZES = {1: (9,), 2: (6, 7), 3: (4, 5, 4)}
for dims, size in SIZES.items():
    x, sample = distinct(2, 3, *size), distinct(3, *size)
    common = [
        call(x, 2),
        call(x, 3, 2),
        call(x, 2, 1, 1),
        call(sample, 2),
        call(x, 3, 2, 1, ceil_mode=True),
        call(x, (2,) * dims, (1,) * dims),
    ]
    dilated = [call(x, 2, 1, 0, 2), call(x, kernel_size=2, stride=2, padding=1, dilation=2, ceil_mode=True)]
    with_indices = [call(*one.args, **one.kwargs, return_indices=True) for one in common + dilated]
    row(f"{F}max_pool{dims}d", of(dims, max_pool), *common, *dilated)
    row(f"{F}max_pool{dims}d", of(dims, max_pool), *with_indices, gives=(SAME, INDEX))
    averages = [*common, call(x, 3, 2, 1, False, False), call(x, 3, 2, 1, ceil_mode=True, count_include_pad=False)]
    row(
        f"{F}avg_pool{dims}d",
        of(dims, avg_pool),
        *averages,
        *([call(x, 2, divisor_override=3)] if dims > 1 else []),
        **LOOSE,
    )
    targets = [call(x, 1), call(x, 3), call(sample, 2), call(x, (4,) * dims), call(x, size)]
    targets += [call(x, (None,) * (dims - 1) + (2,)), call(sample, None), call(x, [None] * dims)]
    row(f"{F}adaptive_avg_pool{dims}d", of(dims, adaptive_avg_pool), *targets, **LOOSE)
    row(f"{F}adaptive_max_pool{dims}d", of(dims, adaptive_max_pool), *targets)
    row(
        f"{F}adaptive_max_pool{dims}d",
        of(dims, adaptive_max_pool),
        call(x, 3, True),
        call(sample, 2, return_indices=True),
        gives=(SAME, INDEX),
    )

row(
    F + "unfold",
    unfold,
    call(draw(2, 3, 5, 4), 2),
    call(draw(2, 3, 5, 4), (2, 3), 1, 1, 2),
    call(draw(3, 5, 4), 2),
    call(draw(1, 2, 7, 7), 3, dilation=2, padding=(1, 0), stride=(1, 2)),
)
row(
    F + "fold",
    fold,
    call(draw(2, 12, 12), (5, 4), 2),
    call(draw(12, 12), (5, 4), 2),
    call(draw(1, 8, 9), (4, 4), (2, 2), 1, 1, 2),
    call(draw(2, 18, 9), (7, 7), 3, dilation=2),
    loose=4,
)
