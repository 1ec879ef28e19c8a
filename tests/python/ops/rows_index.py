"""Reading and writing by index."""

import numpy as np

import taut
from table import ALL, FLOATS, INDEX, INTS, NUMBERS, call, draw, integers, mask, row, ties

X = draw(3, 5)
CUBE = draw(2, 3, 4)
NONE = np.zeros(0, np.int64)
KINDS = {"dtypes": ALL}


# ---- Reading ----------------------------------------------------------------------------------------
row(
    "index_select",
    lambda x, dim, index: np.take(x, index, dim),
    call(X, 0, np.array([2, 0, 2])),
    call(X, -1, np.array([4])),
    call(X, 1, NONE),
    call(CUBE, 1, np.array([1, 1])),
    call(draw(0, 3), 1, np.array([2, 0])),
    **KINDS,
)


def gather(x, dim, index):
    if x.ndim == 0:
        return np.broadcast_to(x, index.shape)
    x = x[tuple(slice(None) if d == dim % x.ndim else slice(0, size) for d, size in enumerate(index.shape))]
    return np.take_along_axis(x, index, dim)


row(
    "gather",
    gather,
    call(X, 1, integers(3, 2, high=5)),
    call(X, 0, integers(2, 4, high=3)),
    call(CUBE, -2, integers(2, 6, 4, high=3)),
    call(X, 1, np.zeros((3, 0), np.int64)),
    call(draw(), 0, np.array(0)),
    call(draw(7), 0, integers(3, high=7)),
    **KINDS,
)
row(
    "take",
    lambda x, index: x.reshape(-1)[index],
    call(X, np.array([14, 0, -1])),
    call(CUBE, integers(2, 2, high=24)),
    call(X, np.array(3)),
    call(X, NONE),
    **KINDS,
)


def take_along_dim(x, indices, dim=None):
    if dim is None:
        return x.reshape(-1)[indices.reshape(-1)]
    shape = [
        np.broadcast_shapes((a,), (b,))[0] if d != dim % x.ndim else None
        for d, (a, b) in enumerate(zip(x.shape, indices.shape))
    ]
    x = np.broadcast_to(x, [x.shape[d] if size is None else size for d, size in enumerate(shape)])
    indices = np.broadcast_to(indices, [indices.shape[d] if size is None else size for d, size in enumerate(shape)])
    return np.take_along_axis(x, indices, dim)


row(
    "take_along_dim",
    take_along_dim,
    call(X, integers(3, 2, high=5), 1),
    call(X, integers(1, 5, high=3), 0),
    call(X, integers(4, high=15)),
    call(CUBE, integers(2, 1, 1, high=4), -1),
    **KINDS,
)
row(
    "masked_select",
    lambda x, m: np.broadcast_to(x, np.broadcast_shapes(x.shape, m.shape))[
        np.broadcast_to(m, np.broadcast_shapes(x.shape, m.shape))
    ],
    call(X, mask(3, 5)),
    call(X, mask(5)),
    call(X, mask(3, 1)),
    call(draw(5), mask(3, 1)),
    call(X, np.zeros((3, 5), bool)),
    call(draw(), np.array(True)),
    **KINDS,
)


def nonzero(x, as_tuple=False):
    if as_tuple:
        return np.nonzero(np.atleast_1d(x))
    return np.stack(np.nonzero(x), 1) if x.ndim else np.zeros((int(x != 0), 0), np.int64)


SPARSE = ties(4, 3)
row(
    "nonzero",
    nonzero,
    call(SPARSE),
    call(SPARSE, as_tuple=True),
    call(ties(2, 3, 2)),
    call(draw()),
    call(draw(0, 2)),
    dtypes=ALL,
    gives=INDEX,
)
row("argwhere", nonzero, call(SPARSE), call(draw()), call(draw(0, 2)), dtypes=ALL, gives=INDEX)


# ---- Writing ----------------------------------------------------------------------------------------
def index_add(x, dim, index, source, alpha=1):
    result = np.array(x)
    np.add.at(np.moveaxis(result, dim, 0), index, alpha * np.moveaxis(source, dim, 0))
    return result


def index_copy(x, dim, index, source):
    result = np.array(x)
    np.moveaxis(result, dim, 0)[index] = np.moveaxis(source, dim, 0)
    return result


def index_fill(x, dim, index, value):
    result = np.array(x)
    np.moveaxis(result, dim, 0)[index] = value
    return result


TWICE = np.array([1, 2, 1])
row(
    "index_add",
    index_add,
    call(X, 0, TWICE, draw(3, 5)),
    call(X, 1, TWICE, draw(3, 3)),
    call(X, -1, TWICE, draw(3, 3), alpha=2),
    call(X, 0, NONE, draw(0, 5)),
    dtypes=NUMBERS,
    loose=3,
)
row(
    "index_copy",
    index_copy,
    call(X, 0, np.array([2, 0]), draw(2, 5)),
    call(X, -1, np.array([4, 1]), draw(3, 2)),
    call(X, 0, NONE, draw(0, 5)),
    **KINDS,
)
row("index_fill", index_fill, call(X, 0, TWICE, 1), call(X, -1, np.array([0, 4]), 0), call(X, 1, NONE, 1), **KINDS)


def index_put(x, indices, values, accumulate=False):
    result = np.array(x)
    where = tuple(slice(None) if index is None else index for index in indices)
    if accumulate:
        np.add.at(result, where, values)
    else:
        result[where] = values
    return result


row(
    "index_put",
    index_put,
    call(X, (np.array([0, 2]), np.array([1, 4])), draw(2)),
    call(X, [np.array([1])], draw(5)),
    call(X, (mask(3, 5),), draw()),
    call(X, (None, np.array([0, 3])), draw(3, 2)),
    call(CUBE, (np.array([[0], [1]]), np.array([0, 2])), draw(2, 2, 4)),
    also=["index_put_"],
    **KINDS,
)
row(
    "index_put",
    index_put,
    call(X, (TWICE, TWICE), draw(3), True),
    call(X, (TWICE,), draw(3, 5), accumulate=True),
    call(X, (NONE,), draw(0, 5), True),
    dtypes=NUMBERS,
    loose=3,
)


def place_of(x, dim, index):
    """For each number of an index tensor the place in x that it speaks of."""
    where = list(np.indices(index.shape))
    where[dim] = index
    return tuple(where)


def scatter(x, dim, index, src, reduce=None):
    result = np.array(x)
    where = place_of(x, dim, index)
    if isinstance(src, np.ndarray):
        src = src[tuple(slice(0, size) for size in index.shape)]
    if reduce is None:
        result[where] = src
    else:
        (np.add if reduce == "add" else np.multiply).at(result, where, src)
    return result


ACROSS = np.array([[0, 3, 1], [4, 2, 0]])
AGAIN = np.array([[0, 0, 1], [2, 2, 0]])
row(
    "scatter",
    scatter,
    call(X, 1, ACROSS, draw(2, 3)),
    call(X, 1, ACROSS, draw(4, 4)),
    call(X, 0, np.array([[2, 0, 1, 1, 0]]), draw(1, 5)),
    call(X, -1, ACROSS, 1),
    call(X, 1, np.zeros((0, 3), np.int64), draw(2, 3)),
    **KINDS,
)
row(
    "scatter",
    scatter,
    call(X, 1, AGAIN, draw(2, 3), reduce="add"),
    call(X, 1, AGAIN, draw(2, 3), reduce="multiply"),
    dtypes=NUMBERS,
    loose=3,
)
row(
    "scatter_add",
    lambda x, dim, index, src: scatter(x, dim, index, src, "add"),
    call(X, 1, AGAIN, draw(2, 3)),
    call(X, 0, AGAIN, draw(3, 4)),
    call(X, -1, np.zeros((0, 3), np.int64), draw(2, 3)),
    dtypes=NUMBERS,
    loose=3,
)

REDUCE = {"sum": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum, "mean": np.add}
START = {"sum": 0, "prod": 1, "amax": -np.inf, "amin": np.inf, "mean": 0}


def scatter_reduce(x, dim, index, src, reduce, include_self=True):
    where = place_of(x, dim, index)
    touched = np.zeros(x.shape, bool)
    touched[where] = True
    result = np.array(x, np.float64)
    if not include_self:
        result[touched] = START[reduce]
    src = src[tuple(slice(0, size) for size in index.shape)]
    REDUCE[reduce].at(result, where, src)
    if reduce == "mean":
        count = np.full(x.shape, 1 if include_self else 0)
        np.add.at(count, where, 1)
        count = np.maximum(count, 1)
        result = result / count if x.dtype.kind == "f" else np.floor_divide(result, count)
    return result


REDUCTIONS = [
    call(X, dim, AGAIN, draw(2, 3), reduce, include_self=include)
    for reduce in REDUCE
    for dim in (0, 1)
    for include in (True, False)
]
row(
    "scatter_reduce",
    scatter_reduce,
    *REDUCTIONS,
    call(X, 1, np.zeros((0, 3), np.int64), draw(2, 3), "sum"),
    dtypes=FLOATS,
    loose=3,
)
row("scatter_reduce", scatter_reduce, *REDUCTIONS, dtypes=INTS[:-1])


def masked_fill(x, m, value):
    shape = np.broadcast_shapes(x.shape, m.shape)
    return np.where(np.broadcast_to(m, shape), value, np.broadcast_to(x, shape))


row(
    "masked_fill",
    masked_fill,
    call(X, mask(3, 5), 1),
    call(X, mask(5), 0),
    call(X, mask(3, 1), 1),
    call(draw(5), mask(3, 1), 1),
    call(X, mask(3, 5), draw()),
    call(draw(), np.array(True), 1),
    call(draw(0), mask(0), 1),
    **KINDS,
)


def masked_scatter(x, m, source):
    shape = np.broadcast_shapes(x.shape, m.shape)
    result = np.array(np.broadcast_to(x, shape))
    m = np.broadcast_to(m, shape)
    result[m] = source.reshape(-1)[: m.sum()]
    return result


row(
    "masked_scatter",
    masked_scatter,
    call(X, mask(3, 5), draw(15)),
    call(X, mask(5), draw(4, 5)),
    call(X, np.zeros((3, 5), bool), draw(0)),
    **KINDS,
)

# ---- Tables of indices ------------------------------------------------------------------------------
row(
    "tril_indices",
    lambda n, m, offset=0: np.stack(np.tril_indices(n, offset, m)),
    call(3, 4),
    call(4, 3, 1),
    call(3, 3, -1),
    call(0, 3),
    dtypes=(taut.int64,),
)
row(
    "triu_indices",
    lambda n, m, offset=0: np.stack(np.triu_indices(n, offset, m)),
    call(3, 4),
    call(4, 3, 1),
    call(3, 3, -2),
    call(2, 2, dtype=taut.int32),
    dtypes=(taut.int64,),
)


def embedding(index, weight, padding_idx=None):
    return weight[index]


row(
    "nn.functional.embedding",
    embedding,
    call(integers(4, high=5), draw(5, 3)),
    call(integers(2, 3, high=5), draw(5, 3)),
    call(np.array(2), draw(5, 3)),
    call(NONE, draw(5, 3)),
    call(integers(4, high=5), draw(5, 3), 1),
    call(integers(4, high=5), draw(5, 3), padding_idx=-1),
)


def one_hot(index, num_classes=-1):
    index = index.astype(int)
    count = num_classes if num_classes > 0 else index.max() + 1
    return (index[..., None] == np.arange(count)).astype(np.int64)


row(
    "nn.functional.one_hot",
    one_hot,
    call(integers(4)),
    call(integers(2, 3), 5),
    call(np.array(1), num_classes=3),
    call(NONE, 3),
    dtypes=(taut.int64,),
)
