"""Reductions: every dim, several, none, kept and dropped; empty and without dims."""

import numpy as np

import taut
from table import (
    ALL,
    BOOL,
    FLOATS,
    INDEX,
    INTS,
    NUMBERS,
    SAME,
    SUM,
    TRUTH,
    call,
    distinct,
    draw,
    mask,
    row,
    ties,
)

X = draw(3, 4, 2)
D = distinct(3, 4, 2)


def axes(dim):
    return (
        tuple(dim) if isinstance(dim, (list, tuple)) and len(dim) else None if isinstance(dim, (list, tuple)) else dim
    )


def along(function):
    """A NumPy reduction with the names that PyTorch gives to its arguments."""

    def reference(x, dim=None, keepdim=False):
        if x.ndim == 0:  # its dims 0 and -1 are those of one number
            return np.asarray(function(x.reshape(1), axis=0))
        return np.asarray(function(x, axis=axes(dim), keepdims=keepdim))

    return reference


def dims_of(data):
    return [
        call(data),
        call(data, 0),
        call(data, -1),
        call(data, 1, True),
        call(data, (0, 2)),
        call(data, [-1, 0], keepdim=True),
        call(data, dim=None),
        call(data, dim=(0, 1, 2), keepdim=True),
    ]


EMPTY = [
    call(draw(0)),
    call(draw(0, 3), 0),
    call(draw(0, 3), 1),
    call(draw(3, 0, 2), 1),
    call(draw()),
    call(draw(), 0),
    call(draw(), -1),
]
WITH_DTYPE = [call(draw(3, 4), dtype=taut.float64), call(draw(3, 4), 1, dtype=taut.float32)]

row(
    "sum",
    along(np.sum),
    *dims_of(X),
    *EMPTY,
    call(draw(300, 7), 0),
    call(draw(7, 300), 1),
    dtypes=NUMBERS,
    gives=SUM,
    loose=4,
)
row("sum", along(np.sum), *WITH_DTYPE, dtypes=INTS + FLOATS[:2], loose=4)
row("sum", along(np.sum), *dims_of(X), *EMPTY, dtypes=BOOL, gives=INDEX)
row("sum", along(np.sum), call(draw(3, 4), dtype=taut.int64), call(draw(3, 4), 0, dtype=taut.int32), dtypes=INTS)
row("mean", along(lambda x, **o: np.mean(np.asarray(x, float), **o)), *dims_of(X), *EMPTY, loose=4)
row("mean", along(lambda x, **o: np.mean(np.asarray(x, float), **o)), *WITH_DTYPE, dtypes=INTS + FLOATS[:2], loose=4)
HOLES = np.where(mask(3, 4, 2), np.nan, X)
row("nansum", along(np.nansum), *dims_of(HOLES), *EMPTY, loose=4)
row("nanmean", along(np.nanmean), *dims_of(HOLES), call(np.full((2, 2), np.nan), 1), call(draw()), loose=4)


def product(x, dim=None, keepdim=False):
    return np.asarray(np.prod(x, axis=dim, keepdims=keepdim))


PRODUCTS = [
    call(draw(2, 3)),
    call(draw(2, 3, 2), 0),
    call(draw(2, 3, 2), -1, True),
    call(draw(0)),
    call(draw(0, 3), 0),
    call(draw()),
    call(draw(), 0),
]
row("prod", product, *PRODUCTS, dtypes=NUMBERS, gives=SUM, loose=4)
row("prod", product, *PRODUCTS, dtypes=BOOL, gives=INDEX)
row("prod", product, call(draw(2, 3), dtype=taut.float64), call(draw(2, 3), 1, dtype=taut.float32), dtypes=INTS)

for name, reference in (("all", np.all), ("any", np.any)):
    row(name, along(reference), *dims_of(ties(3, 4, 2)), *EMPTY, *dims_of(X > 0), dtypes=ALL, gives=TRUTH)


def count_nonzero(x, dim=None):
    return np.asarray(np.count_nonzero(x, axis=axes(dim)))


row(
    "count_nonzero",
    count_nonzero,
    call(ties(3, 4)),
    call(ties(3, 4), 1),
    call(ties(3, 4), (0, 1)),
    call(draw()),
    call(draw(0, 2), 0),
    dtypes=ALL,
    gives=INDEX,
)

# ---- The largest and the smallest -------------------------------------------------------------------
NAN_ROW = np.array([[1.0, np.nan, 3.0], [2.0, 5.0, -1.0]])
for name, reference in (("amax", np.max), ("amin", np.min)):
    row(
        name,
        along(reference),
        *dims_of(X),
        call(draw()),
        call(draw(), 0),
        call(draw(2, 0, 3), 2),
        call(draw(5, 300), 1),
        dtypes=ALL,
    )
    row(name, along(reference), call(NAN_ROW, 1), call(NAN_ROW), call(np.array([[np.inf, -np.inf]]), 1))


def extreme(values, positions):
    def reference(x, dim=None, keepdim=False):
        if dim is None:
            return np.asarray(values(x))
        if isinstance(dim, np.ndarray):
            return (np.maximum if values is np.max else np.minimum)(x, dim)
        if x.ndim == 0:
            return x, np.asarray(0)
        return np.asarray(values(x, dim, keepdims=keepdim)), np.asarray(positions(x, dim, keepdims=keepdim))

    return reference


for name, values, positions in (("max", np.max, np.argmax), ("min", np.min, np.argmin)):
    reference = extreme(values, positions)
    row(name, reference, call(D), call(draw()), call(draw(1)), dtypes=NUMBERS)
    row(
        name,
        reference,
        call(D, 0),
        call(D, -1),
        call(D, 1, True),
        call(D, dim=2, keepdim=True),
        call(draw(), 0),
        call(draw(2, 0, 3), 2),
        call(distinct(5, 20), 1),
        call(ties(4, 9), 1),
        call(ties(9, 4), 0),
        dtypes=NUMBERS,
        gives=(SAME, INDEX),
    )
    row(name, reference, call(NAN_ROW))
    row(name, reference, call(X), dtypes=BOOL)
    row(name, reference, call(NAN_ROW, 1), gives=(SAME, INDEX))
    row(name, reference, call(X, draw(4, 2)), call(draw(), X), dtypes=NUMBERS)


def position(function):
    def reference(x, dim=None, keepdim=False):
        if x.ndim == 0:
            return np.asarray(0)
        result = np.asarray(function(x, axis=dim))
        if keepdim:
            result = result.reshape([1] * x.ndim) if dim is None else np.expand_dims(result, dim)
        return result

    return reference


for name, reference in (("argmax", np.argmax), ("argmin", np.argmin)):
    row(
        name,
        position(reference),
        call(D),
        call(D, 0),
        call(D, -1),
        call(D, 1, True),
        call(D, dim=None, keepdim=True),
        call(draw()),
        call(draw(), 0),
        call(ties(4, 9), 1),
        call(ties(4, 9)),
        call(draw(2, 0, 3), 2),
        dtypes=NUMBERS,
        gives=INDEX,
    )
    row(name, position(reference), call(NAN_ROW), call(NAN_ROW, 1), gives=INDEX)


def aminmax(x, dim=None, keepdim=False):
    return along(np.min)(x, dim, keepdim), along(np.max)(x, dim, keepdim)


row(
    "aminmax",
    aminmax,
    call(X),
    call(X, dim=1),
    call(X, dim=-1, keepdim=True),
    call(draw()),
    call(NAN_ROW, dim=1),
    dtypes=FLOATS,
)
row("aminmax", aminmax, call(X), call(X, dim=0), dtypes=INTS)


# ---- Spread -----------------------------------------------------------------------------------------
def variance(x, dim=None, unbiased=None, keepdim=False, correction=1):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = int(unbiased)
    elif correction is None:
        correction = 1
    axis = axes(dim)
    squares = np.sum((x - np.mean(x, axis=axis, keepdims=True)) ** 2, axis=axis, keepdims=keepdim)
    count = x.size if axis is None else np.prod([x.shape[a] for a in np.atleast_1d(axis)])
    return np.asarray(squares / np.maximum(count - correction, 0))


def mean_of(x, dim=None, unbiased=None, keepdim=False, correction=1):
    return np.asarray(np.mean(x, axis=None if isinstance(dim, bool) else axes(dim), keepdims=keepdim))


SPREADS = [
    call(X),
    call(X, 0),
    call(X, (0, -1)),
    call(X, dim=1, keepdim=True),
    call(X, dim=1, correction=0),
    call(X, correction=2.5),
    call(X, correction=None),
    call(X, True),
    call(X, False),
    call(X, 1, False),
    call(X, (0, 1), True, True),
    call(draw(1), 0),
    call(draw(2, 0), 0),
    call(draw(50, 3) + 100, 0),
    call(draw(3, 300), 1),
]
row("var", variance, *SPREADS, loose=10)
row("std", lambda *args, **options: np.sqrt(variance(*args, **options)), *SPREADS, loose=10)
row("var_mean", lambda *args, **options: (variance(*args, **options), mean_of(*args, **options)), *SPREADS, loose=10)
row(
    "std_mean",
    lambda *args, **options: (np.sqrt(variance(*args, **options)), mean_of(*args, **options)),
    *SPREADS,
    loose=10,
)


# ---- Norms ------------------------------------------------------------------------------------------
def vector_norm(x, ord=2.0, dim=None, keepdim=False):
    x, axis = np.abs(x), axes(dim)
    if ord == 0:
        result = np.sum(x != 0, axis=axis, keepdims=keepdim) * 1.0
    elif np.isinf(ord):
        result = (np.max if ord > 0 else np.min)(x, axis=axis, keepdims=keepdim)
    else:
        result = np.sum(x**ord, axis=axis, keepdims=keepdim) ** (1 / ord)
    return np.asarray(result)


NORMS = [
    call(X, *rest)
    for rest in ((), (1.0,), (2, 0), (3.0, (0, 2)), (0, -1), (float("inf"), 1, True), (float("-inf"), (0, 1)), (0.5, 1))
]
row(
    "linalg.vector_norm",
    vector_norm,
    *NORMS,
    call(draw()),
    call(draw(0)),
    call(draw(0, 3), 2, 0),
    call(draw(400)),
    loose=6,
)
row("linalg.vector_norm", vector_norm, call(draw(3, 4), dtype=taut.float64), dtypes=(taut.float32, taut.float16))
row(
    "norm",
    lambda x, p=2, dim=None, keepdim=False: vector_norm(x, 2 if p == "fro" else p, dim, keepdim),
    *NORMS,
    call(X, "fro"),
    call(X, "fro", (0, 1), True),
    call(X, p="fro", dim=1),
    call(draw(0)),
    loose=6,
)
row(
    "dist",
    lambda a, b, p=2: vector_norm(a - b, p),
    call(X, draw(4, 2)),
    call(X, draw(3, 4, 2), 1),
    call(draw(4), draw(), float("inf")),
    call(X, draw(4, 2), 0),
    call(draw(0), draw(0)),
    loose=6,
)


def logsumexp(x, dim, keepdim=False):
    axis = axes(dim)
    if np.size(x) == 0:
        return np.asarray(np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdim)))
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return np.asarray(total if keepdim else np.squeeze(total, axis) if x.ndim else total)


row(
    "logsumexp",
    logsumexp,
    call(X, 0),
    call(X, -1),
    call(X, (0, 2)),
    call(X, 1, True),
    call(X, dim=[1, 2], keepdim=True),
    call(draw(), 0),
    call(draw(0, 3), 0),
    call(draw(3) + 1000, 0),
    call(np.full((2, 2), -np.inf), 1),
    also=["special.logsumexp"],
    loose=4,
)


def median(ignore_nan):
    def one(line):
        order = np.argsort(line, kind="stable")
        nans = int(np.isnan(line).sum())
        if nans and (not ignore_nan or nans == len(line)):
            return np.nan, int(np.flatnonzero(np.isnan(line))[0])
        at = order[(len(line) - nans - 1) // 2]
        return line[at], int(at)

    def reference(x, dim=None, keepdim=False):
        if dim is None:
            return np.asarray(one(x.reshape(-1))[0] if x.size else np.nan)
        return picked(one, x, dim, keepdim)

    return reference


def picked(one, x, dim, keepdim):
    """A value and its position from each line of a dim."""
    x = x.reshape(1) if x.ndim == 0 else x
    lines = np.moveaxis(x, dim, -1)
    pairs = [one(line) for line in lines.reshape(-1, lines.shape[-1])]
    values = np.array([pair[0] for pair in pairs], x.dtype).reshape(lines.shape[:-1])
    places = np.array([pair[1] for pair in pairs], np.int64).reshape(lines.shape[:-1])
    if keepdim:
        return np.expand_dims(values, dim), np.expand_dims(places, dim)
    return values, places


LINES = [
    call(D, 0),
    call(D, -1),
    call(D, 1, True),
    call(distinct(4, 9), dim=1),
    call(distinct(2, 8), 1),
    call(draw(1), 0),
    call(draw(0, 3), 1),
]
for name, ignore in (("median", False), ("nanmedian", True)):
    row(name, median(ignore), call(D), call(distinct(7)), call(distinct(8)), call(draw()), dtypes=NUMBERS)
    row(name, median(ignore), call(draw(0)), call(HOLES), call(NAN_ROW))
    row(name, median(ignore), *LINES, dtypes=NUMBERS, gives=(SAME, INDEX))
    row(name, median(ignore), call(HOLES, 1), call(NAN_ROW, 1), gives=(SAME, INDEX))


def most_frequent(line):
    values, counts = np.unique(line, return_counts=True)
    value = values[np.argmax(counts)]
    return value, int(np.flatnonzero(line == value)[-1])


row(
    "mode",
    lambda x, dim=-1, keepdim=False: picked(most_frequent, x, dim, keepdim),
    call(ties(3, 9)),
    call(ties(9, 3), 0),
    call(ties(3, 9, 2), 1, True),
    call(ties(3, 9, 2), -2),
    call(draw(1)),
    call(draw()),
    dtypes=NUMBERS,
    gives=(SAME, INDEX),
)


def kthvalue(x, k, dim=-1, keepdim=False):
    return picked(lambda line: (np.sort(line)[k - 1], int(np.argsort(line)[k - 1])), x, dim, keepdim)


row(
    "kthvalue",
    kthvalue,
    call(D, 1),
    call(D, 2, 1),
    call(D, 3, 0, True),
    call(D, k=4, dim=-2),
    call(distinct(9), 9),
    call(draw(), 1),
    dtypes=NUMBERS,
    gives=(SAME, INDEX),
)
row(
    "trace",
    lambda x: np.asarray(np.trace(x)),
    call(draw(3, 3)),
    call(draw(2, 5)),
    call(draw(5, 2)),
    call(draw(0, 3)),
    dtypes=NUMBERS,
    gives=SUM,
    loose=2,
)


def histc(x, bins=100, min=0, max=0):
    if min == max:
        min, max = (x.min(), x.max()) if x.size else (0, 1)
        if min == max:
            min, max = min - 1, max + 1
    return np.histogram(x, bins, (min, max))[0] * 1.0


row(
    "histc",
    histc,
    call(draw(50)),
    call(draw(6, 5), 4, -2, 2),
    call(draw(9), bins=3),
    call(np.ones(4), 5),
    call(draw(0), 3),
    dtypes=(taut.float64,),
)


def bincount(x, weights=None, minlength=0):
    return np.bincount(x.astype(int), weights, minlength)


SMALL = np.array([0, 3, 1, 1, 3, 3], np.float64)
row(
    "bincount",
    bincount,
    call(SMALL),
    call(SMALL, minlength=9),
    call(SMALL, None, 2),
    call(draw(0), minlength=2),
    dtypes=INTS,
    gives=INDEX,
)
row("bincount", bincount, call(SMALL.astype(int), draw(6)), call(SMALL.astype(int), draw(6), 7), dtypes=(taut.float64,))
