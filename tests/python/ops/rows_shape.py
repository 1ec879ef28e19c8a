"""Views and other changes of shape."""

import numpy as np

from table import ALL, FLOATS, NUMBERS, SAME, call, draw, row

X = draw(2, 3, 4)
M = draw(3, 5)
EMPTY = draw(2, 0, 3)
KINDS = {"dtypes": ALL}
VIEW = {"dtypes": ALL, "is_view": True}


def sizes_of(items):
    return items[0] if len(items) == 1 and isinstance(items[0], (tuple, list)) else items


def reshape(x, *shape):
    return x.reshape(sizes_of(shape))


SHAPES = [
    call(X, 6, 4),
    call(X, (4, -1)),
    call(X, [24]),
    call(X, -1),
    call(X, 2, 1, 3, 4),
    call(draw(), 1, 1),
    call(draw(1), ()),
    call(EMPTY, 0, 7),
]
row("reshape", reshape, *SHAPES, **KINDS)
row("Tensor.reshape_as", lambda x, other: x.reshape(other.shape), call(X, draw(4, 6)), call(draw(1), draw()), **KINDS)
row(
    "Tensor.view_as", lambda x, other: x.reshape(other.shape), call(draw(24), draw(24)), call(draw(1), draw(1)), **KINDS
)
row("Tensor.view", reshape, call(draw(1), 1, 1), call(draw(), 1), call(draw(7), (7,)), call(draw(7), -1), **VIEW)
row(
    "flatten",
    lambda x, start_dim=0, end_dim=-1: flatten(x, start_dim, end_dim),
    call(X),
    call(X, 1),
    call(X, 0, 1),
    call(X, start_dim=-2),
    call(X, 1, 1),
    call(draw()),
    call(EMPTY),
    call(EMPTY, 1),
    **KINDS,
)
row("ravel", np.ravel, call(X), call(draw()), call(EMPTY), **KINDS)


def flatten(x, start, end):
    if x.ndim == 0:
        return x.reshape(1)
    start, end = start % x.ndim, end % x.ndim
    return x.reshape(*x.shape[:start], int(np.prod(x.shape[start : end + 1])), *x.shape[end + 1 :])


def unflatten(x, dim, *sizes):
    dim %= x.ndim
    sizes = list(sizes_of(sizes))
    if -1 in sizes:
        known = -int(np.prod(sizes))
        sizes[sizes.index(-1)] = x.shape[dim] // known
    return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])


row("unflatten", unflatten, call(X, 2, (2, 2)), call(X, -1, (-1, 2)), call(X, 0, [1, 2]), **VIEW)


def squeeze(x, dim=None):
    if dim is None:
        return np.squeeze(x)
    dims = (dim,) if isinstance(dim, int) else dim
    return np.squeeze(x, tuple(d for d in dims if x.ndim and x.shape[d] == 1))


ONES = draw(1, 3, 1)
row(
    "squeeze",
    squeeze,
    call(ONES),
    call(ONES, 0),
    call(ONES, -1),
    call(ONES, 1),
    call(ONES, (0, 2)),
    call(ONES, dim=(0, 1)),
    call(draw()),
    call(draw(), 0),
    call(draw(1, 0)),
    **VIEW,
)
row(
    "unsqueeze",
    np.expand_dims,
    call(X, 0),
    call(X, 3),
    call(X, -1),
    call(X, -4),
    call(draw(), 0),
    call(draw(), -1),
    call(EMPTY, 1),
    **VIEW,
)
row(
    "permute",
    lambda x, *dims: np.transpose(x, sizes_of(dims)),
    call(X, 2, 0, 1),
    call(X, (0, -1, 1)),
    call(X, [0, 1, 2]),
    call(EMPTY, 1, 0, 2),
    call(draw(4), 0),
    call(draw(), ()),
    **VIEW,
)


def transpose(x, a, b):
    return np.swapaxes(x, a, b) if x.ndim else x


row(
    "transpose",
    transpose,
    call(X, 0, 2),
    call(X, -1, 1),
    call(X, 1, 1),
    call(EMPTY, 0, 1),
    call(draw(), 0, -1),
    also=["swapaxes", "swapdims"],
    **VIEW,
)
row("t", np.transpose, call(M), call(draw(4)), call(draw()), call(draw(0, 2)), **VIEW)
row("adjoint", lambda x: np.swapaxes(x, -1, -2), call(M), call(X), call(EMPTY), **VIEW)
row(
    "movedim",
    np.moveaxis,
    call(X, 0, 2),
    call(X, (0, 1), (2, 0)),
    call(X, -1, 0),
    call(EMPTY, 1, 0),
    also=["moveaxis"],
    **VIEW,
)
row("detach", np.asarray, call(X), call(draw()), call(EMPTY), **KINDS)
row("alias", np.asarray, call(X), call(draw()), call(EMPTY), **KINDS)
row("clone", lambda x, memory_format=None: x, call(X), call(draw()), call(EMPTY), call(X, memory_format=None), **KINDS)
row("Tensor.contiguous", np.copy, call(X), call(draw()), call(EMPTY), **KINDS)


def expand(x, *size):
    size = sizes_of(size)
    padded = (1,) * (len(size) - x.ndim) + x.shape
    return np.broadcast_to(x, [p if s == -1 else s for s, p in zip(size, padded)])


row(
    "Tensor.expand",
    expand,
    call(ONES, 2, 3, 4),
    call(ONES, (-1, -1, 5)),
    call(draw(3), 2, 3),
    call(draw(), 2, 2),
    call(draw(1), 0),
    call(draw(), ()),
    **VIEW,
)
row(
    "Tensor.expand_as",
    lambda x, other: np.broadcast_to(x, other.shape),
    call(ONES, X[:, :, :1] + draw(1)),
    call(draw(), X),
    **VIEW,
)
row("broadcast_to", np.broadcast_to, call(ONES, (2, 3, 4)), call(draw(), [2]), call(draw(1), (0,)), **VIEW)
row(
    "broadcast_tensors",
    lambda *xs: tuple(np.broadcast_arrays(*xs)),
    call(draw(3, 1), draw(4)),
    call(draw(), draw(2), draw(1, 1)),
    **KINDS,
)
row(
    "broadcast_shapes",
    lambda *shapes: np.broadcast_shapes(*shapes),
    call((2, 1), (3,)),
    call((), (1, 4)),
    call((0,), (1,)),
    dtypes=FLOATS[:1],
    contiguous=True,
)


def tile(x, dims):
    dims = (dims,) if isinstance(dims, int) else dims
    return np.tile(x, dims)


row(
    "tile",
    tile,
    call(M, (2,)),
    call(M, (2, 3)),
    call(M, (2, 1, 2)),
    call(draw(), (3,)),
    call(M, (0, 1)),
    call(EMPTY, (2, 2, 1)),
    **KINDS,
)
row(
    "Tensor.repeat",
    lambda x, *dims: np.tile(x, sizes_of(dims)),
    call(M, 2, 1),
    call(M, (2, 1, 3)),
    call(draw(), 3),
    call(M, 0, 1),
    call(draw(2), 2, 2),
    **KINDS,
)
row("repeat_interleave", np.repeat, call(M, 2), call(M, 3, 0), call(M, 2, -1), call(draw(), 2), call(M, 0, 1), **KINDS)
row("flip", lambda x, dims: np.flip(x, dims), call(X, 0), call(X, (0, 2)), call(X, [-1]), call(EMPTY, 0), **KINDS)
row("fliplr", np.fliplr, call(M), call(X), call(EMPTY), **KINDS)
row("flipud", np.flipud, call(M), call(draw(4)), call(EMPTY), **KINDS)
row(
    "roll",
    lambda x, shifts, dims=None: np.roll(x, shifts, dims),
    call(X, 1),
    call(X, -2, 0),
    call(X, (1, 3), (0, 2)),
    call(X, 7, -1),
    call(EMPTY, 1, 0),
    call(draw(5), 0),
    **KINDS,
)
row(
    "rot90",
    lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
    call(M),
    call(M, 2),
    call(M, 3),
    call(M, -1),
    call(M, 4),
    call(X, 1, (1, 2)),
    call(X, 1, [2, 0]),
    call(EMPTY),
    **KINDS,
)


# ---- Parts ------------------------------------------------------------------------------------------
def part(x, dim, start, stop, step=1):
    where = [slice(None)] * x.ndim
    where[dim] = slice(start, stop, step)
    return x[tuple(where)]


def narrow(x, dim, start, length):
    start = start + x.shape[dim] if start < 0 else start
    return part(x, dim, start, start + length)


NARROWS = [
    call(X, 0, 1, 1),
    call(X, -1, 1, 2),
    call(X, 1, 0, 3),
    call(X, 1, 3, 0),
    call(X, 2, -2, 2),
    call(EMPTY, 1, 0, 0),
]
row("narrow", narrow, *NARROWS, **VIEW)
row("narrow_copy", narrow, *NARROWS, **KINDS)
row(
    "select",
    lambda x, dim, index: np.take(x, index, dim),
    call(X, 0, 1),
    call(X, -1, -1),
    call(X, 1, 2),
    call(EMPTY, 0, 0),
    call(draw(3), 0, -3),
    **VIEW,
)


def split(x, size, dim=0):
    if isinstance(size, int):
        stops = list(range(size, x.shape[dim], size)) if x.shape[dim] else []
    else:
        stops = list(np.cumsum(size)[:-1])
    return tuple(np.split(x, stops, dim))


row(
    "split",
    split,
    call(M, 2),
    call(M, 2, 1),
    call(M, 9),
    call(M, [1, 2], 0),
    call(M, [0, 5], -1),
    call(M, 2, dim=-1),
    call(EMPTY, 2, 1),
    call(M, (2, 3), dim=1),
    **VIEW,
)
row("split_with_sizes", split, call(M, [1, 2]), call(M, [2, 0, 3], 1), **VIEW)


def chunk(x, chunks, dim=0):
    size = x.shape[dim]
    return split(x, max(1, -(-size // chunks)), dim) if size else (x,) * chunks


row("chunk", chunk, call(M, 2), call(M, 2, 1), call(M, 3, -1), call(M, 9, 1), call(M, 1), call(EMPTY, 2, 1), **VIEW)


def tensor_split(x, sections, dim=0):
    return tuple(np.array_split(x, sections, dim))


row(
    "tensor_split",
    tensor_split,
    call(M, 2),
    call(M, 3, 1),
    call(M, [1, 3], 1),
    call(M, (2,), -1),
    call(M, 7, 1),
    call(M, [4, 2], 1),
    **VIEW,
)
row(
    "hsplit",
    lambda x, sections: tuple(np.hsplit(x, sections)),
    call(draw(3, 4), 2),
    call(M, [1, 2]),
    call(draw(6), 3),
    **VIEW,
)
row("vsplit", lambda x, sections: tuple(np.vsplit(x, sections)), call(draw(4, 3), 2), call(M, [1]), **VIEW)
row("dsplit", lambda x, sections: tuple(np.dsplit(x, sections)), call(X, 2), call(X, [1, 3]), **VIEW)
row(
    "unbind", lambda x, dim=0: tuple(np.moveaxis(x, dim, 0)), call(X), call(X, 1), call(X, -1), call(draw(0, 3)), **VIEW
)
row(
    "Tensor.unfold",
    lambda x, dim, size, step: windows(x, dim, size, step),
    call(draw(7), 0, 3, 2),
    call(X, -1, 2, 1),
    call(X, 1, 3, 1),
    call(X, 2, 0, 1),
    call(draw(), 0, 1, 1),
    **VIEW,
)


def windows(x, dim, size, step):
    if x.ndim == 0:
        return x.reshape(1)
    views = np.lib.stride_tricks.sliding_window_view(x, size, dim) if size else np.zeros((*x.shape, 0), x.dtype)
    if not size:
        views = np.concatenate([views, part(views, dim, 0, 1)], dim)
    result = part(views, dim % x.ndim, None, None, step)
    return result


row(
    "as_strided",
    lambda x, size, stride, offset=0: by_strides(x, size, stride, offset or 0),
    call(draw(12), (2, 3), (6, 2)),
    call(draw(12), [3], [4], 1),
    call(draw(12), (3, 3), (1, 1), 2),
    call(draw(12), (2, 0), (1, 1)),
    call(draw(12), (), ()),
    dtypes=ALL,
    contiguous=True,
)


def by_strides(x, size, stride, offset):
    return np.array([x.reshape(-1)[offset + int(np.dot(at, stride))] for at in np.ndindex(*size)], x.dtype).reshape(
        size
    )


# ---- Diagonals and triangles ------------------------------------------------------------------------
row(
    "diagonal",
    np.diagonal,
    call(M),
    call(M, 1),
    call(M, -2),
    call(M, 5),
    call(X, 0, 1, 2),
    call(X, -1, -1, 0),
    call(draw(0, 3)),
    **VIEW,
)


def diag_embed(x, offset=0, dim1=-2, dim2=-1):
    size = x.shape[-1] + abs(offset)
    result = np.zeros((*x.shape[:-1], size, size), x.dtype)
    steps = np.arange(x.shape[-1])
    result[..., steps + max(0, -offset), steps + max(0, offset)] = x
    return np.moveaxis(result, (-2, -1), (dim1, dim2))


row(
    "diag_embed",
    diag_embed,
    call(draw(3)),
    call(M, 1),
    call(M, -1),
    call(M, 0, 0, 2),
    call(draw(0)),
    call(M, 1, 0, -1),
    **KINDS,
)
row("diag", np.diag, call(draw(3)), call(draw(3), 1), call(draw(3), -2), call(M), call(M, 2), call(M, -1), **KINDS)
row("diagflat", lambda x, offset=0: np.diagflat(x, offset), call(M), call(draw(2), 1), call(draw(), -1), **KINDS)
for name, reference in (("tril", np.tril), ("triu", np.triu)):
    row(
        name,
        reference,
        call(M),
        call(M, 1),
        call(M, -1),
        call(X, 2),
        call(M, 9),
        call(M, -9),
        call(draw(0, 3)),
        call(draw(4, 2), -2),
        **KINDS,
    )


def diagonal_scatter(x, src, offset=0, dim1=0, dim2=1):
    result = np.array(x)
    diagonal = np.diagonal(result, offset, dim1, dim2)
    diagonal.flags.writeable = True
    diagonal[...] = src
    return result


def select_scatter(x, src, dim, index):
    result = np.array(x)
    np.moveaxis(result, dim, 0)[index] = src
    return result


def slice_scatter(x, src, dim=0, start=None, end=None, step=1):
    result = np.array(x)
    part(result, dim, start, end, step)[...] = src
    return result


row(
    "diagonal_scatter",
    diagonal_scatter,
    call(M, draw(3)),
    call(M, draw(3), 1),
    call(M, draw(1), -2),
    call(X, draw(4, 2), 0, 0, 1),
    call(X, draw(2, 3), 0, 1, 2),
    **KINDS,
)
row(
    "select_scatter",
    select_scatter,
    call(M, draw(5), 0, 1),
    call(M, draw(3), -1, -1),
    call(X, draw(2, 4), 1, 2),
    **KINDS,
)
row(
    "slice_scatter",
    slice_scatter,
    call(M, draw(1, 5), 0, 1, 2),
    call(M, draw(3, 2), 1, -2),
    call(M, draw(3, 3), 1, 0, 5, 2),
    call(M, draw(3, 5)),
    call(M, draw(0, 5), 0, 2, 2),
    **KINDS,
)


# ---- Joins ------------------------------------------------------------------------------------------
def cat(xs, dim=0):
    return np.concatenate([x for x in xs if x.shape != (0,)] or xs, dim)


row(
    "cat",
    cat,
    call([M, draw(2, 5)]),
    call((M, draw(3, 1), draw(3, 0)), 1),
    call([X, X], -1),
    call([draw(0), M]),
    call([M], dim=1),
    call([draw(0), draw(0)]),
    also=["concat", "concatenate"],
    **KINDS,
)
row(
    "stack",
    np.stack,
    call([M, M]),
    call((M, M, M), 1),
    call([M, M], -1),
    call([draw(), draw()]),
    call([EMPTY, EMPTY], 2),
    **KINDS,
)
PIECES = [call([draw(3), draw(3)]), call([M, M]), call([X, X]), call((draw(), draw(), draw()))]
row("hstack", np.hstack, *PIECES, call([M, draw(3, 1)]), **KINDS)
row("vstack", np.vstack, *PIECES, call([M, draw(1, 5)]), also=["row_stack"], **KINDS)
row("dstack", np.dstack, *PIECES, **KINDS)
row("column_stack", np.column_stack, *PIECES[:3], call([draw(3), M]), **KINDS)


def block_diag(*xs):
    xs = [np.atleast_2d(x) for x in xs]
    result = np.zeros((sum(x.shape[0] for x in xs), sum(x.shape[1] for x in xs)), xs[0].dtype)
    row_at = column_at = 0
    for x in xs:
        result[row_at : row_at + x.shape[0], column_at : column_at + x.shape[1]] = x
        row_at, column_at = row_at + x.shape[0], column_at + x.shape[1]
    return result


row("block_diag", block_diag, call(M, draw(2, 2)), call(draw(3), draw(), draw(1, 2)), call(M), **KINDS)


def cartesian_prod(*xs):
    return xs[0] if len(xs) == 1 else np.stack([grid.reshape(-1) for grid in np.meshgrid(*xs, indexing="ij")], 1)


row(
    "cartesian_prod",
    cartesian_prod,
    call(draw(2), draw(3)),
    call(draw(3)),
    call(draw(2), draw(1), draw(2)),
    call(draw(0), draw(2)),
    **KINDS,
)
row(
    "meshgrid",
    lambda *xs, indexing="ij": tuple(np.meshgrid(*xs, indexing=indexing)),
    call(draw(2), draw(3)),
    call(draw(2), draw(3), indexing="xy"),
    call(draw(2), draw(1), draw(4), indexing="ij"),
    call(draw(), draw(2)),
    **KINDS,
)
for name, reference in (("atleast_1d", np.atleast_1d), ("atleast_2d", np.atleast_2d), ("atleast_3d", np.atleast_3d)):
    row(name, reference, call(draw()), call(draw(3)), call(M), call(X), **KINDS)


# ---- Padding ----------------------------------------------------------------------------------------
def pad(x, pad, value=0):
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + [tuple(pad[i : i + 2]) for i in range(len(pad) - 2, -1, -2)]
    for dim, (before, after) in enumerate(widths):
        x = part(x, dim, max(0, -before), x.shape[dim] - max(0, -after))
    return np.pad(x, [(max(0, a), max(0, b)) for a, b in widths], constant_values=value)


row(
    "constant_pad_nd",
    pad,
    call(M, (1, 2)),
    call(M, (0, 1, 2, 0), 1),
    call(M, [-1, 2]),
    call(X, (1, 1, 0, 0, 2, 1), 3),
    call(draw(0), (1, 1), 2),
    dtypes=NUMBERS,
    gives=SAME,
)
