"""Functions that make tensors. Random ones promise a shape here; what they draw is tested in random_test.py."""

import numpy as np

import taut
from table import ALL, FLOATS, INTS, NUMBERS, Unspecified, call, draw, row

X = draw(3, 4)
ONCE = (taut.float64,)  # rows without data: the dtype says nothing


def sizes_of(items):
    return tuple(items[0]) if len(items) == 1 and isinstance(items[0], (tuple, list)) else items


SIZES = [call(2, 3), call((2, 3)), call([0, 4]), call(), call(()), call(5)]
TYPED = [call(2, 3, dtype=dtype) for dtype in ALL]
for name, value in (("zeros", 0), ("ones", 1)):
    made = lambda *size, value=value: np.full(sizes_of(size), value)  # noqa: E731
    row(name, made, *SIZES, dtypes=ONCE, gives=taut.float32)
    row(name, made, *TYPED, dtypes=ONCE)
row("empty", lambda *size: Unspecified(*sizes_of(size)), *SIZES, dtypes=ONCE, gives=taut.float32)
row("empty", lambda *size: Unspecified(*sizes_of(size)), *TYPED, dtypes=ONCE)
LIKE = [call(X), call(draw()), call(draw(0, 2))]
row("zeros_like", np.zeros_like, *LIKE, dtypes=ALL)
row("ones_like", np.ones_like, *LIKE, dtypes=ALL)
row("empty_like", lambda x: Unspecified(*x.shape), *LIKE, dtypes=ALL)
row("full_like", lambda x, value: np.full_like(x, value), call(X, 1), call(draw(), 0), call(draw(0, 2), 1), dtypes=ALL)
for name, value in (("zeros_like", 0), ("ones_like", 1)):
    row(name, lambda x, value=value: np.full(x.shape, value), *(call(X, dtype=dtype) for dtype in ALL))
row(
    "empty_strided",
    lambda size, stride: Unspecified(*size),
    call((2, 3), (1, 2)),
    call((), ()),
    call((4,), (2,)),
    dtypes=ONCE,
    gives=taut.float32,
)
row(
    "full",
    lambda size, value: np.full(size, value),
    call((2, 3), 1.5),
    call((), 2.0),
    call((0,), 1.0),
    dtypes=ONCE,
    gives=taut.float32,
)
row("full", lambda size, value: np.full(size, value), call((2, 3), 7), call((2,), -1), dtypes=ONCE, gives=taut.int64)
row("full", lambda size, value: np.full(size, value), call((2,), True), dtypes=ONCE, gives=taut.bool)
row("full", lambda size, value: np.full(size, value), *(call((2, 2), 1, dtype=dtype) for dtype in ALL), dtypes=ONCE)
row("scalar_tensor", np.asarray, call(2.5), call(3), dtypes=ONCE, gives=taut.float32)
row("scalar_tensor", np.asarray, call(3, dtype=taut.int8), call(1, dtype=taut.bool), dtypes=ONCE)
row("arange", np.arange, call(5), call(2, 7), call(7, 2, -2), call(0), call(1, 9, 3), dtypes=ONCE, gives=taut.int64)
row("arange", np.arange, call(2.5), call(0.0, 1.0, 0.25), call(1, 2, 0.5), call(5.0), dtypes=ONCE, gives=taut.float32)
row("arange", np.arange, *(call(0, 9, 2, dtype=dtype) for dtype in NUMBERS), dtypes=ONCE)
row(
    "linspace",
    np.linspace,
    call(0, 1, 5),
    call(-2.0, 3.0, 7),
    call(1, 1, 3),
    call(4, -4, 9),
    call(0, 1, 1),
    call(0, 1, 0),
    dtypes=ONCE,
    gives=taut.float32,
)
row("linspace", np.linspace, *(call(-1, 1, 5, dtype=dtype) for dtype in FLOATS), dtypes=ONCE)
row(
    "logspace",
    lambda a, b, n, base=10.0: np.logspace(a, b, n, base=base),
    call(0, 2, 3),
    call(-1, 1, 5, 2.0),
    call(0, 1, 0),
    dtypes=ONCE,
    gives=taut.float32,
    loose=4,
)
row("eye", np.eye, call(3), call(2, 4), call(4, 2), call(0), dtypes=ONCE, gives=taut.float32)
row("eye", np.eye, *(call(2, 3, dtype=dtype) for dtype in ALL), dtypes=ONCE)

# ---- From data --------------------------------------------------------------------------------------
row(
    "tensor",
    np.array,
    call([1.5, 2.0]),
    call([[1.0], [2.0]]),
    call(2.5),
    call([]),
    call([1, 2.5]),
    dtypes=ONCE,
    gives=taut.float32,
)
row("tensor", np.array, call([1, 2]), call(3), call([True, 2]), dtypes=ONCE, gives=taut.int64)
row("tensor", np.array, call([True, False]), call(False), dtypes=ONCE, gives=taut.bool)
row("tensor", np.array, *(call([[0, 1], [1, 1]], dtype=dtype) for dtype in ALL), dtypes=ONCE)
for name in ("as_tensor", "asarray"):
    row(name, np.asarray, call([1.5, 2.0]), dtypes=ONCE, gives=taut.float32)
    row(name, np.asarray, call(X), call(draw(0)), dtypes=ALL)
    row(name, np.asarray, *(call(np.array([0, 1]), dtype=dtype) for dtype in ALL), dtypes=ONCE)
row("result_type", lambda a, b: taut.float32, call(np.array([1]), 1.5), call(1.5, np.array([1])), dtypes=ONCE)

# ---- Random -----------------------------------------------------------------------------------------
for name in ("rand", "randn"):
    row(name, lambda *size: Unspecified(*sizes_of(size)), *SIZES, dtypes=ONCE, gives=taut.float32)
    row(name, lambda *size: Unspecified(*sizes_of(size)), *(call(2, 3, dtype=dtype) for dtype in FLOATS), dtypes=ONCE)
    row(name + "_like", lambda x: Unspecified(*x.shape), *LIKE)
row(
    "randint",
    lambda *args: Unspecified(*args[-1]),
    call(5, (2, 3)),
    call(-2, 4, (3,)),
    call(0, 1, ()),
    call(3, (0, 2)),
    dtypes=ONCE,
    gives=taut.int64,
)
row(
    "randint",
    lambda *args: Unspecified(*args[-1]),
    *(call(0, 9, (2, 3), dtype=dtype) for dtype in FLOATS + INTS),
    dtypes=ONCE,
)
row(
    "randint_like",
    lambda x, *args: Unspecified(*x.shape),
    call(X, 5),
    call(X, 1, 4),
    call(draw(0), 3),
    dtypes=FLOATS + INTS,
)
row("randperm", lambda n: Unspecified(n), call(5), call(0), dtypes=ONCE, gives=taut.int64)
row("randperm", lambda n: Unspecified(n), call(5, dtype=taut.int32), call(5, dtype=taut.float32), dtypes=ONCE)
row(
    "normal",
    lambda *args: Unspecified(*args[-1]),
    call(0.0, 1.0, (2, 3)),
    call(1.0, 0.0, ()),
    dtypes=ONCE,
    gives=taut.float32,
)
row(
    "normal",
    lambda mean, std=1.0: Unspecified(*np.broadcast_shapes(np.shape(mean), np.shape(std))),
    call(X, np.abs(X)),
    call(X),
    call(X, 2.0),
    call(0.0, np.abs(X)),
    call(X, np.ones(4)),
)
P = np.array([[0.0, 1.0], [1.0, 0.0]])
row("bernoulli", np.asarray, call(P), call(draw(0)))  # certain either way
row("bernoulli", lambda x, p: np.full_like(x, p), call(X, 1.0), call(X, 0.0))
row(
    "multinomial",
    lambda p, n, replacement=False: np.array([[2] * n, [0] * n]),
    call(np.array([[0.0, 0.0, 3.0], [1.0, 0.0, 0.0]]), 1),
    call(np.array([[0.0, 0.0, 3.0], [1.0, 0.0, 0.0]]), 4, True),
    gives=taut.int64,
)
for name in ("dropout", "dropout2d"):
    image = draw(2, 3, 4, 4)
    row(
        "nn.functional." + name,
        lambda x, p=0.5, training=True: x if p == 0 or not training else np.zeros_like(x),
        call(image, 0.0),
        call(image, 1.0),
        call(image, 0.5, False),
        call(image, p=0.25, training=False),
    )
row(
    "nn.functional.dropout_add",
    lambda x, residual, p=0.5, training=True: residual + (x if p == 0 or not training else np.zeros_like(x)),
    call(draw(2, 3), draw(2, 3), 0.0),
    call(draw(2, 3), draw(3), 1.0),
    call(draw(2, 3), draw(2, 3), 1.0),
    call(draw(0, 3), draw(0, 3), 0.5),
    call(draw(3), draw(2, 3), p=0.25, training=False),
)
