"""Methods that are no functions of `taut`, and questions about a tensor."""

import numpy as np

import taut
from table import ALL, DEVICE, FLOATS, INTS, NUMBERS, Unspecified, call, draw, mask, row
from rows_pointwise import polygamma

X = draw(3, 4)
T = "Tensor."
ONE = [call(X), call(draw()), call(draw(0, 2))]

# ---- Casts ------------------------------------------------------------------------------------------
CASTS = {
    "double": taut.float64,
    "float": taut.float32,
    "half": taut.float16,
    "bfloat16": taut.bfloat16,
    "long": taut.int64,
    "int": taut.int32,
    "short": taut.int16,
    "char": taut.int8,
    "byte": taut.uint8,
    "bool": taut.bool,
}
WHOLE = np.round(draw(3, 4, low=0, high=9))


def cast_to(dtype):
    kind = {taut.bool: bool}.get(dtype, np.float64 if dtype.is_floating_point else np.int64)
    return lambda x, *args, **options: np.asarray(x).astype(kind)


for name, target in CASTS.items():
    row(T + name, cast_to(target), call(WHOLE), call(draw(0, 2)), dtypes=ALL, gives=target)
    row(
        T + "to",
        cast_to(target),
        call(WHOLE, target),
        call(WHOLE, "cpu", target),
        call(WHOLE, taut.ones(1, dtype=target)),
        dtypes=ALL,
        gives=target,
    )
    row(T + "to", cast_to(target), call(WHOLE, dtype=target, copy=True), dtypes=ALL)
    row(T + "type", cast_to(target), call(WHOLE, target), dtypes=ALL, gives=target)
row(T + "type", lambda x: "taut.float64", call(X), dtypes=(taut.float64,))
row(T + "to", lambda x, device: x, call(X, "cpu"), call(X, device="cpu"), dtypes=ALL)
row(T + "cpu", np.asarray, *ONE, dtypes=ALL)
row(
    T + "type_as",
    lambda x, other: np.asarray(x).astype(int),
    call(WHOLE, np.array([1])),
    dtypes=NUMBERS,
    gives=taut.int64,
)

# ---- Questions --------------------------------------------------------------------------------------
SIZE = (taut.float64,)
for name in ("dim", "ndimension"):
    row(T + name, np.ndim, *ONE, dtypes=SIZE)
for name in ("numel", T + "numel", T + "nelement"):
    row(name, np.size, *ONE, dtypes=SIZE)
row(
    T + "size", lambda x, dim=None: x.shape if dim is None else x.shape[dim], *ONE, call(X, 0), call(X, -1), dtypes=SIZE
)
row(T + "element_size", lambda x: 8, call(X), dtypes=(taut.float64, taut.int64))
row(T + "element_size", lambda x: 2, call(X), dtypes=(taut.float16, taut.bfloat16, taut.int16))
row(
    T + "stride",
    lambda x, dim=None: (4, 1) if dim is None else (4, 1)[dim],
    call(X),
    call(X, 0),
    call(X, -1),
    dtypes=SIZE,
    contiguous=True,
)
row(T + "storage_offset", lambda x: 0, call(X), dtypes=SIZE, contiguous=True)
row(T + "is_contiguous", lambda x: True, call(X), dtypes=SIZE, contiguous=True)
row(T + "is_set_to", lambda x, y: False, call(X, X), dtypes=SIZE)
row(T + "get_device", lambda x: -1 if DEVICE == "cpu" else taut.device(DEVICE).index or 0, call(X), dtypes=SIZE)
row("is_floating_point", lambda x: True, call(X))
row("is_floating_point", lambda x: False, call(X), dtypes=INTS)
row("is_complex", lambda x: False, call(X), dtypes=ALL)
row("is_inference", lambda x: False, call(X), dtypes=SIZE)
row(T + "is_signed", lambda x: True, call(X), dtypes=FLOATS + INTS[:-1])
row(T + "is_signed", lambda x: False, call(X), dtypes=(taut.uint8, taut.bool))
row("is_nonzero", lambda x: bool(x.item()), call(draw(1)), call(np.zeros(())), call(np.ones((1, 1))), dtypes=ALL)
row("is_same_size", lambda x, y: x.shape == y.shape, call(X, draw(3, 4)), call(X, draw(4)), dtypes=SIZE)
row(T + "item", lambda x: x.item(), call(draw()), call(draw(1, 1)), dtypes=ALL)
row(T + "tolist", lambda x: x.tolist(), *ONE, dtypes=ALL)

# ---- Other -----------------------------------------------------------------------------------------
row(
    T + "where",
    lambda x, condition, other: np.where(condition, x, other),
    call(X, X > 0, draw(4)),
    call(X, X > 0, 1),
    dtypes=FLOATS,
)
row(
    T + "polygamma",
    lambda x, n: np.vectorize(polygamma, otypes=[float])(n, x),
    call(draw(3, low=0.5, high=3), 1),
    loose=20,
)
row(
    T + "sum_to_size",
    lambda x, *size: summed(x, size[0] if isinstance(size[0], tuple) else size),
    call(X, 1, 4),
    call(X, (3, 1)),
    call(X, 4),
    call(X, (1,)),
    call(X, 3, 4),
    loose=4,
)


def summed(x, size):
    lead = x.ndim - len(size)
    axes = tuple(range(lead)) + tuple(lead + d for d, n in enumerate(size) if n == 1)
    return x.sum(axes, keepdims=True).reshape(size)


NEW = [call(X, 2, 3), call(X, (2, 3)), call(X, ())]
row(T + "new_zeros", lambda x, *size: np.zeros(size[0] if isinstance(size[0], tuple) else size), *NEW, dtypes=ALL)
row(T + "new_ones", lambda x, *size: np.ones(size[0] if isinstance(size[0], tuple) else size), *NEW, dtypes=ALL)
row(T + "new_empty", lambda x, *size: Unspecified(*(size[0] if isinstance(size[0], tuple) else size)), *NEW, dtypes=ALL)
row(T + "new_empty_strided", lambda x, size, stride: Unspecified(*size), call(X, (2, 3), (1, 2)), dtypes=ALL)
row(T + "new_full", lambda x, size, value: np.full(size, value), call(X, (2, 3), 1), call(X, (), 0), dtypes=ALL)
row(T + "new_zeros", lambda x, *size: np.zeros(size), call(X, 2, dtype=taut.int8))

# ---- Writing ---------------------------------------------------------------------------------------
row(
    T + "copy_",
    lambda x, src: np.broadcast_to(src, x.shape),
    call(X, draw(3, 4)),
    call(X, draw(4)),
    call(X, draw()),
    call(draw(0, 2), draw(2)),
    dtypes=ALL,
)
row(T + "copy_", lambda x, src: np.broadcast_to(src, x.shape), call(X, np.array([1, 2, 3, 4])), call(X, mask(3, 4)))
row(T + "fill_", lambda x, value: np.full_like(x, value), call(X, 1), call(draw(), 0), call(draw(0, 2), 1), dtypes=ALL)
row(T + "transpose_", lambda x, a, b: np.swapaxes(x, a, b), call(X, 0, 1), dtypes=ALL)
