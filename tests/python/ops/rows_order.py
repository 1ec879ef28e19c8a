"""Sorting, searching, sets, and running sums along a dim."""

import numpy as np

import taut
from table import ALL, FLOATS, INDEX, INTS, NUMBERS, SAME, SUM, TRUTH, call, distinct, draw, row, ties

D = distinct(3, 5)
CUBE = distinct(2, 4, 3)
NANS = np.array([2.0, np.nan, -1.0, np.inf, np.nan, -np.inf, 0.0])


def places(x, dim=-1, descending=False, stable=False):
    if x.ndim == 0:
        return np.asarray(0)
    if descending:  # backwards twice, so that equal numbers keep their order
        count = x.shape[dim]
        return np.flip(count - 1 - np.argsort(np.flip(x, dim), dim, kind="stable"), dim)
    return np.argsort(x, dim, kind="stable")


def sort(x, dim=-1, descending=False, stable=False):
    order = places(x, dim, descending)
    return (np.take_along_axis(x, order, dim) if x.ndim else x), order


TIES = ties(4, 9)
SORTS = [
    call(D),
    call(D, 0),
    call(D, -2, True),
    call(CUBE, 1),
    call(D, dim=1, descending=True),
    call(distinct(200)),
    call(draw()),
    call(draw(0, 3)),
    call(draw(3, 0), 1),
    call(TIES, 1, False, True),
    call(TIES, 0, descending=True, stable=True),
    call(draw(1, 4), 0),
]
row("sort", sort, *SORTS, call(TIES, stable=True), dtypes=ALL, gives=(SAME, INDEX))
row("sort", sort, call(NANS), call(NANS, 0, False, True), dtypes=FLOATS, gives=(SAME, INDEX))
row("argsort", places, *SORTS, dtypes=ALL, gives=INDEX)
row(
    "msort",
    lambda x: np.sort(x, 0),
    call(D),
    call(distinct(9)),
    call(TIES),
    call(NANS),
    call(draw(0, 3)),
    dtypes=FLOATS + INTS[:-1],
)


def topk(x, k, dim=-1, largest=True, sorted=True):
    if x.ndim == 0:
        return (x, np.asarray(0)) if k else (np.zeros(0), np.zeros(0, int))
    values, order = sort(x, dim, largest)
    first = [slice(None)] * x.ndim
    first[dim] = slice(0, k)
    return values[tuple(first)], order[tuple(first)]


row(
    "topk",
    topk,
    call(D, 2),
    call(D, 3, 0),
    call(D, 2, -1, False),
    call(CUBE, 4, 1),
    call(D, k=1, dim=0, largest=True, sorted=True),
    call(D, 0),
    call(distinct(300), 7),
    call(draw(), 1),
    dtypes=FLOATS + INTS[:-2],
    gives=(SAME, INDEX),
)

EDGES = np.array([-2.0, -1.0, 0.0, 0.0, 2.0])


def side_of(right, side):
    return "right" if right or side == "right" else "left"


def searchsorted(sequence, values, out_int32=False, right=False, side=None):
    where = side_of(right, side)
    if sequence.ndim == 1:
        return np.asarray(np.searchsorted(sequence, values, where))
    lines = zip(sequence.reshape(-1, sequence.shape[-1]), values.reshape(-1, values.shape[-1]))
    return np.stack([np.searchsorted(line, value, where) for line, value in lines]).reshape(values.shape)


SEARCH = {"dtypes": FLOATS + INTS[:-1], "gives": INDEX}
row(
    "searchsorted",
    searchsorted,
    call(EDGES, ties(2, 4)),
    call(EDGES, ties(3), right=True),
    call(EDGES, ties(3), side="left"),
    call(EDGES, draw()),
    call(np.sort(ties(3, 6), 1), ties(3, 4)),
    call(np.sort(ties(3, 6), 1), ties(3, 4), side="right"),
    call(EDGES, 1),
    call(EDGES, draw(0)),
    **SEARCH,
)
row("searchsorted", searchsorted, call(EDGES, ties(4), out_int32=True), gives=taut.int32)
row(
    "bucketize",
    lambda x, edges, out_int32=False, right=False: np.asarray(np.searchsorted(edges, x, side_of(right, None))),
    call(ties(2, 4), EDGES),
    call(ties(5), EDGES, right=True),
    call(draw(), EDGES),
    call(draw(0), EDGES),
    **SEARCH,
)
row(
    "isin",
    lambda x, values, assume_unique=False, invert=False: np.isin(x, values, invert=invert),
    call(ties(3, 4), np.array([-1.0, 2.0])),
    call(ties(5), 1),
    call(ties(3, 4), ties(2, 2), invert=True),
    call(ties(6), draw(0)),
    call(draw(0), ties(3)),
    call(D, np.array([1.0, 2.0]), assume_unique=True),
    dtypes=FLOATS + INTS[:-1],
    gives=TRUTH,
)


def unique(x, sorted=True, return_inverse=False, return_counts=False, dim=None):
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
    inverse = inverse.reshape(x.shape if dim is None else x.shape[dim])
    results = (values, *([inverse] if return_inverse else []), *([counts] if return_counts else []))
    return results if len(results) > 1 else values


def unique_consecutive(x, return_inverse=False, return_counts=False, dim=None):
    lines = x.reshape(-1, 1) if dim is None else np.moveaxis(x, dim, 0).reshape(x.shape[dim], -1)
    starts = np.concatenate([[True], (lines[1:] != lines[:-1]).any(1)])[: len(lines)]
    inverse = (np.cumsum(starts) - 1).reshape(x.shape if dim is None else -1)
    counts = np.diff(np.append(np.flatnonzero(starts), len(lines)))
    values = x.reshape(-1)[starts] if dim is None else np.compress(starts, x, dim)
    results = (values, *([inverse] if return_inverse else []), *([counts] if return_counts else []))
    return results if len(results) > 1 else values


FEW = ties(4, 3)
ROWS = np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 2.0], [0.0, 1.0], [0.0, 1.0]])
row("unique", unique, call(FEW), call(FEW, True), call(ROWS, dim=0), call(draw(0)), call(draw()), dtypes=ALL)
row(
    "unique",
    unique,
    call(FEW, return_counts=True),
    call(FEW, True, True),
    call(ROWS, return_inverse=True, return_counts=True, dim=0),
    call(ROWS, True, True, True, 1),
    dtypes=ALL,
    gives=(SAME, INDEX, INDEX),
)
REPEATS = np.array([1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 0.0])
row("unique_consecutive", unique_consecutive, call(REPEATS), call(ROWS, dim=0), call(FEW), call(draw(0)), dtypes=ALL)
row(
    "unique_consecutive",
    unique_consecutive,
    call(REPEATS, True),
    call(REPEATS, True, True),
    call(ROWS, return_counts=True, dim=0),
    dtypes=ALL,
    gives=(SAME, INDEX, INDEX),
)


# ---- Along a dim ------------------------------------------------------------------------------------
def running(function):
    return lambda x, dim: function(x.reshape(1) if x.ndim == 0 else x, dim).reshape(x.shape)


RUNS = [
    call(draw(3, 5), 0),
    call(draw(3, 5), -1),
    call(draw(2, 3, 4), 1),
    call(draw(), 0),
    call(draw(0), 0),
    call(draw(2, 0), 0),
    call(draw(200), 0),
]
row("cumsum", running(np.cumsum), *RUNS, dtypes=ALL, gives=SUM, loose=8)
row(
    "cumsum",
    running(np.cumsum),
    call(draw(3, 4), 1, dtype=taut.float64),
    call(draw(3, 4), 0, dtype=taut.int32),
    dtypes=INTS,
    loose=4,
)
row("cumprod", running(np.cumprod), *RUNS[:-1], dtypes=ALL, gives=SUM, loose=8)
row("cumprod", running(np.cumprod), call(draw(3, 4), 1, dtype=taut.float64), dtypes=INTS)
row(
    "logcumsumexp",
    running(lambda x, dim: np.logaddexp.accumulate(x, dim) if x.size else x),
    *RUNS[:5],
    call(draw(4) + 1000, 0),
    call(np.array([-np.inf, -np.inf, 1.0]), 0),
    loose=4,
)


def record(better):
    """The best so far and where it last was."""

    def reference(x, dim):
        lines = np.moveaxis(x.reshape(1) if x.ndim == 0 else x, dim, -1)
        values, where = np.array(lines), np.zeros(lines.shape, np.int64)
        for at in range(1, lines.shape[-1]):
            now, before = lines[..., at], values[..., at - 1]
            taken = better(now, before) | np.isnan(now)
            values[..., at] = np.where(taken, now, before)
            where[..., at] = np.where(taken, at, where[..., at - 1])
        return np.moveaxis(values, -1, dim).reshape(x.shape), np.moveaxis(where, -1, dim).reshape(x.shape)

    return reference


RECORDS = [call(D, 0), call(D, -1), call(CUBE, 1), call(ties(3, 9), 1), call(draw(), 0), call(draw(0, 2), 0)]
for name, better in (("cummax", np.greater_equal), ("cummin", np.less_equal)):
    row(name, record(better), *RECORDS, dtypes=NUMBERS, gives=(SAME, INDEX))
    row(name, record(better), call(np.array([1.0, np.nan, 3.0, 2.0]), 0), gives=(SAME, INDEX))
row(
    "diff",
    lambda x, n=1, dim=-1: np.diff(x, n, dim),
    call(D),
    call(D, 2),
    call(D, 1, 0),
    call(D, n=0),
    call(D, 9),
    call(draw(2, 0)),
    dtypes=NUMBERS,
    loose=2,
)


def trapezoid(y, x=None, dx=1.0, dim=-1):
    return np.asarray(np.trapezoid(y, x, dx, dim))


Y = draw(3, 5)
TRAPEZOIDS = [
    call(Y),
    call(Y, dim=0),
    call(Y, draw(5)),
    call(Y, draw(3, 5), dim=1),
    call(Y, dx=0.5),
    call(draw(1)),
    call(draw(4), draw(4)),
]
row("trapezoid", trapezoid, *TRAPEZOIDS, also=["trapz"], loose=8)


def cumulative_trapezoid(y, dx=1.0, dim=-1):
    y = np.moveaxis(y, dim, -1)
    return np.moveaxis(np.cumsum((y[..., 1:] + y[..., :-1]) * dx / 2, -1), -1, dim)


row(
    "cumulative_trapezoid",
    cumulative_trapezoid,
    call(Y),
    call(Y, dx=2.0),
    call(Y, dim=0),
    call(Y, dx=0.5, dim=-2),
    call(draw(1)),
    loose=8,
)
