"""Products of vectors and matrices."""

import numpy as np

from rows_network import gelu
from table import FLOATS, INTS, NUMBERS, call, draw, row

A, B = draw(3, 4), draw(4, 2)
V, W = draw(4), draw(4)
BATCH, OTHER = draw(2, 3, 4), draw(2, 4, 5)
KINDS = {"dtypes": NUMBERS, "loose": 8}

PRODUCTS = [
    call(A, B),
    call(V, W),
    call(A, V),
    call(V, B),
    call(BATCH, OTHER),
    call(BATCH, B),
    call(A, OTHER),
    call(draw(5, 1, 3, 4), OTHER),
    call(BATCH, V),
    call(V, OTHER),
    call(draw(0, 4), B),
    call(draw(3, 0), draw(0, 2)),
    call(draw(0), draw(0)),
    call(draw(2, 0, 4), B),
    call(draw(17, 33), draw(33, 9)),
    call(draw(1, 64), draw(64, 1)),
]
row("matmul", lambda a, b: np.asarray(np.matmul(a, b)), *PRODUCTS, also=["linalg.matmul"], **KINDS)
row("mm", np.matmul, call(A, B), call(draw(0, 4), B), call(draw(3, 0), draw(0, 2)), **KINDS)
row(
    "bmm",
    np.matmul,
    call(BATCH, OTHER),
    call(draw(0, 3, 4), draw(0, 4, 2)),
    call(draw(2, 3, 0), draw(2, 0, 2)),
    **KINDS,
)
row("mv", np.matmul, call(A, V), call(draw(3, 0), draw(0)), **KINDS)
row(
    "dot",
    lambda a, b: np.asarray(np.dot(a, b)),
    call(V, W),
    call(draw(0), draw(0)),
    call(draw(1), draw(1)),
    also=["vdot"],
    **KINDS,
)
row(
    "inner",
    lambda a, b: np.asarray(np.inner(a, b)),
    call(V, W),
    call(A, draw(2, 4)),
    call(A, draw()),
    call(draw(2, 3, 4), A),
    **KINDS,
)
row("outer", np.outer, call(V, draw(3)), call(draw(0), V), also=["ger"], **KINDS)
row("kron", np.kron, call(A, B), call(V, W), call(A, draw()), call(draw(2, 2, 2), draw(3, 1, 2)), **KINDS)


def cross(a, b, dim=-1):
    a, b = np.broadcast_arrays(a, b)
    a, b = np.moveaxis(a, dim, 0), np.moveaxis(b, dim, 0)
    parts = [a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3] for i in range(3)]
    return np.moveaxis(np.stack(parts), 0, dim)


row(
    "cross",
    cross,
    call(draw(3), draw(3)),
    call(draw(2, 3), draw(2, 3)),
    call(draw(3, 4), draw(3, 4), 0),
    call(draw(5, 3), draw(1, 3), dim=1),
    call(draw(0, 3), draw(0, 3)),
    **KINDS,
)


def added(product):
    return lambda x, a, b, beta=1, alpha=1: beta * x + alpha * product(a, b)


SCALED = {"beta": 2, "alpha": 3}
row(
    "addmm",
    added(np.matmul),
    call(draw(3, 2), A, B),
    call(draw(2), A, B, **SCALED),
    call(draw(), A, B, alpha=-1),
    call(draw(3, 2), draw(3, 0), draw(0, 2)),
    **KINDS,
)
row("addmm", added(np.matmul), call(draw(3, 2), A, B, beta=0.5, alpha=0.25), loose=8)
row(
    "addmm", lambda x, a, b, beta: a @ b, call(np.full((3, 2), np.nan), A, B, beta=0), dtypes=FLOATS, loose=8
)  # zero times anything
row("addmv", added(np.matmul), call(draw(3), A, V), call(draw(), A, V, **SCALED), **KINDS)
row("addr", added(np.outer), call(draw(3, 4), draw(3), V), call(draw(4), draw(3), V, **SCALED), **KINDS)
row("baddbmm", added(np.matmul), call(draw(2, 3, 5), BATCH, OTHER), call(draw(5), BATCH, OTHER, **SCALED), **KINDS)
row(
    "addbmm",
    added(lambda a, b: np.matmul(a, b).sum(0)),
    call(draw(3, 5), BATCH, OTHER),
    call(draw(5), BATCH, OTHER, **SCALED),
    **KINDS,
)


def tensordot(a, b, dims=2):
    return np.asarray(np.tensordot(a, b, dims if isinstance(dims, int) else tuple(map(tuple, dims))))


row(
    "tensordot",
    tensordot,
    call(BATCH, draw(3, 4, 2)),
    call(A, B, 1),
    call(A, draw(2), 0),
    call(BATCH, draw(4, 2, 3), ([1, 2], [2, 0])),
    call(BATCH, OTHER, ([0], [0])),
    call(A, draw(3, 4), dims=2),
    **KINDS,
)

EQUATIONS = [
    call("ij,jk->ik", A, B),
    call("ij,jk", A, B),
    call("ij->ji", A),
    call("ij", A),
    call("ij->", A),
    call("ii->i", draw(4, 4)),
    call("ii", draw(4, 4)),
    call("i,i", V, W),
    call("i,j->ij", V, draw(3)),
    call("bij,bjk->bik", BATCH, OTHER),
    call("...ij,...jk->...ik", BATCH, OTHER),
    call("bij,kj->bik", BATCH, A),
    call("ij,jk,kl->il", A, B, draw(2, 3)),
    call("...i->...", BATCH),
    call("bij->b", BATCH),
    call("ij,ij->", A, draw(3, 4)),
    call("iji->j", draw(3, 2, 3)),
    call("ab , bc -> ca", A, B),
    call("i...,i...->...", draw(2, 3), draw(2, 1)),
    call("ij,jk->ik", draw(0, 4), B),
    call("ij,jk->ik", draw(3, 0), draw(0, 2)),
    call(",ij->ij", draw(), A),
    call("bhqd,bhkd->bhqk", draw(2, 2, 3, 4), draw(2, 2, 5, 4)),
    call("i,j,k->kij", draw(2), draw(3), draw(4)),
    call("bn,anm,bm->ba", draw(2, 3), draw(4, 3, 5), draw(2, 5)),
]
row(
    "einsum",
    lambda equation, *operands: np.asarray(np.einsum(equation, *operands)),
    *EQUATIONS,
    dtypes=FLOATS + INTS[:1],
    loose=16,
)
row(
    "linalg.matrix_power",
    np.linalg.matrix_power,
    *(call(draw(3, 3), n) for n in (0, 1, 2, 3, 5)),
    call(draw(2, 3, 3), 4),
    call(draw(0, 0), 2),
    dtypes=FLOATS[:2],
    loose=50,
)
row(
    "linalg.multi_dot",
    lambda xs: np.asarray(np.linalg.multi_dot(xs)),
    call([A, B]),
    call([A, B, draw(2, 5)]),
    call([draw(5, 3), A, B, draw(2, 5)]),
    call([V, B, draw(2)]),
    call([V, draw(4, 3), draw(3, 2)]),
    loose=30,
)
row(
    "linalg.vecdot",
    lambda x, y, dim=-1: np.asarray((x * y).sum(dim)),
    call(V, W),
    call(BATCH, A),
    call(A, draw(3, 4), dim=0),
    call(draw(2, 0), draw(2, 0)),
    dtypes=NUMBERS,
    loose=8,
)
row(
    "nn.functional.linear",
    lambda x, w, b=0: x @ w.T + b,
    call(A, draw(5, 4)),
    call(BATCH, draw(5, 4), draw(5)),
    call(V, draw(2, 4), draw(2)),
    call(draw(0, 4), draw(5, 4), draw(5)),
    call(draw(2, 0), draw(3, 0), draw(3)),
    loose=8,
)


def mlp(x, w1, w2, bias1=0, bias2=0, activation="gelu"):
    hidden = np.asarray(x @ w1.T + bias1)
    if activation == "relu":
        return np.asarray(np.maximum(hidden, 0) @ w2.T + bias2)
    return np.asarray(gelu(hidden, "tanh" if activation == "gelu_tanh" else "none") @ w2.T + bias2)


# Made of what was drawn already: new draws would change the data of all later rows.
LAYERS = [BATCH.reshape(6, 4), OTHER.reshape(-1)[:30].reshape(5, 6)]
BIAS1, BIAS2 = OTHER.reshape(-1)[30:36], OTHER[0, 0]
row(
    "nn.functional.mlp",
    mlp,
    call(A, *LAYERS),
    call(BATCH, *LAYERS, BIAS1, BIAS2, "relu"),
    call(V, *LAYERS, bias2=BIAS2, activation="gelu_tanh"),
    call(A[:0], *LAYERS, BIAS1),
    call(A[:, :0], LAYERS[0][:, :0], LAYERS[1], BIAS1, BIAS2),
    loose=16,
)
