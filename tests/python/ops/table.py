"""The op table: what a row is and how it is tried.

A row names an op, gives the calls to try and a reference: a function of NumPy arrays that is written without Taut.

    row("cumsum", np.cumsum, call(draw(3, 4), 1), call(draw(0), -1), dtypes=FLOATS + INTS, gives=SUM)

Float arrays in a call are the data: they become tensors of each dtype of the row. Arrays of int64 and bool are
indices and masks and stay what they are. The reference sees the very numbers that the tensors hold, in float64 or
int64, so that tolerances speak of the op alone and not of the rounding of its input.
"""

import functools
import math
import os
import warnings

import numpy as np

import taut

# Where the tensors of the calls lie; the references do not know.
DEVICE = os.environ.get("TAUT_TEST_DEVICE", "cpu")
HALVES = (taut.float16, taut.bfloat16)
FLOATS = (taut.float64, taut.float32, *HALVES)
INTS = (taut.int64, taut.int32, taut.int16, taut.int8, taut.uint8)
BOOL = (taut.bool,)
NUMBERS = FLOATS + INTS
ALL = NUMBERS + BOOL

NUMPY = {
    taut.float64: np.float64,
    taut.float32: np.float32,
    taut.int64: np.int64,
    taut.int32: np.int32,
    taut.int16: np.int16,
    taut.int8: np.int8,
    taut.uint8: np.uint8,
    taut.bool: np.bool_,
}

# Relative and absolute. A 16-bit result is rounded once; its last place is 2^-11 or 2^-8.
TOLERANCE = {
    taut.float64: (1e-9, 1e-11),
    taut.float32: (2e-5, 2e-6),
    taut.float16: (2e-3, 2e-4),
    taut.bfloat16: (1.6e-2, 1e-3),
}


# What dtype an op gives for data of a dtype.
def SAME(dtype):
    return dtype


def FLOAT(dtype):
    return dtype if dtype.is_floating_point else taut.float32


def SUM(dtype):
    return dtype if dtype.is_floating_point else taut.int64


def TRUTH(dtype):
    return taut.bool


def INDEX(dtype):
    return taut.int64


class Unspecified:
    """What a reference gives when only the shape of the result is promised."""

    def __init__(self, *shape):
        self.shape = shape


class Call:
    def __init__(self, args, kwargs):
        self.args, self.kwargs = args, kwargs

    def __repr__(self):
        parts = [_brief(arg) for arg in self.args] + [f"{name}={_brief(arg)}" for name, arg in self.kwargs.items()]
        return f"({', '.join(parts)})"


def call(*args, **kwargs):
    return Call(args, kwargs)


class Row:
    def __init__(self, name, reference, calls, dtypes, gives, is_view, contiguous, loose):
        self.name, self.reference, self.calls, self.dtypes, self.gives = name, reference, calls, dtypes, gives
        self.is_view, self.contiguous, self.loose = is_view, contiguous, loose


ROWS = []


def row(name, reference, *calls, dtypes=FLOATS, gives=SAME, also=(), is_view=False, contiguous=False, loose=1):
    """Adds an op to the table.

    `also` are other names of the op; `gives` says the dtype of the result, or is a tuple for several results;
    `contiguous` is for ops that speak of the memory behind a tensor; `loose` multiplies the tolerance where an op
    rounds more than once."""
    assert calls, name
    for each in (name, *also):
        ROWS.append(Row(each, reference, calls, dtypes, gives, is_view, contiguous, loose))


# ---- Data -------------------------------------------------------------------------------------------
_random = np.random.default_rng(20)


def draw(*shape, low=-3.0, high=3.0):
    """Numbers that keep their value in float16, none of them twice as long as there are enough."""
    return np.asarray(np.round(_random.uniform(low, high, shape) * 64) / 64)


def distinct(*shape):
    """Numbers that differ, in every dtype: for ops that look at the order."""
    count = math.prod(shape)
    return (_random.permutation(count) - count // 2).astype(np.float64).reshape(shape)


def ties(*shape):
    """Few different numbers, each several times."""
    return np.asarray(_random.integers(-2, 3, shape), np.float64)


def integers(*shape, low=0, high=3):
    """Indices: these stay int64."""
    return np.asarray(_random.integers(low, high, shape))


def mask(*shape):
    return np.asarray(_random.integers(0, 2, shape), bool)


def vectorized(function):
    """A function of Python numbers as one of arrays, the empty ones too."""
    return np.vectorize(function, otypes=[np.float64])


# ---- Running ----------------------------------------------------------------------------------------
def resolve(name):
    return functools.reduce(getattr, name.split("."), taut)


def _brief(value):
    if isinstance(value, np.ndarray):
        return f"{value.dtype.name}{list(value.shape)}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_brief(item) for item in value)}]"
    return repr(value)


def over_arrays(function, value):
    """`function` of each array inside a value."""
    if isinstance(value, np.ndarray):
        return function(value)
    if type(value) in (list, tuple):
        return type(value)(over_arrays(function, item) for item in value)
    return value


def plain(array):
    tensor = taut.tensor(array, device=DEVICE)
    return (
        tensor if array.size else taut.empty(array.shape, dtype=tensor.dtype, device=DEVICE)
    )  # NumPy gives the strides 0 to empty arrays


def transposed(array):
    order = tuple(reversed(range(array.ndim)))
    return taut.tensor(array.transpose(order).copy(), device=DEVICE).permute(order) if array.size > 1 else plain(array)


def spread(array):
    """A view with a step of 2 in each dim and an offset: between the numbers stand others that no op may read."""
    store = taut.full([2 * size + 1 for size in array.shape], 77, dtype=taut.tensor(array).dtype, device=DEVICE)
    view = store[tuple(slice(1, None, 2) for _ in array.shape)] if array.ndim else store.reshape(1)[0]
    view.copy_(taut.tensor(array))
    return view


def to_numpy(tensor):
    tensor = tensor.detach().cpu()
    return tensor.to(taut.float64).numpy() if tensor.dtype in HALVES else tensor.numpy()


def as_dtype(array, dtype, layout):
    """The tensor of an array of a call; see the top of this file."""
    if array.dtype != np.float64:
        return layout(array)
    if dtype in HALVES:
        return layout(array).to(dtype) if layout is plain else layout(to_numpy(taut.tensor(array).to(dtype))).to(dtype)
    if dtype.is_floating_point:
        return layout(np.asarray(array, NUMPY[dtype]))
    array = np.asarray(np.round(np.nan_to_num(array, True, 0, 9, -9)))
    if dtype == taut.bool:
        array = np.asarray(array > 0)
    if dtype == taut.uint8:
        array = array - min(0, array.min(initial=0))  # moved up: numbers that differ still do
    return layout(np.asarray(array, NUMPY[dtype]))


def as_reference(tensor):
    """What the reference sees: float64, int64 or bool."""
    array = to_numpy(tensor)
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64 if array.dtype.kind in "iu" else np.bool_)


def prepare(one, dtype, layout=plain):
    """Arguments for Taut and for the reference, and the tensors among them."""
    tensors = []

    def make(array):
        tensors.append(as_dtype(array, dtype, layout))
        return tensors[-1]

    args = [over_arrays(make, arg) for arg in one.args]
    kwargs = {name: over_arrays(make, arg) for name, arg in one.kwargs.items()}
    seen = iter([as_reference(tensor) for tensor in tensors])
    twin_args = [over_arrays(lambda _: next(seen), arg) for arg in one.args]
    twin_kwargs = {name: over_arrays(lambda _: next(seen), arg) for name, arg in one.kwargs.items() if name != "dtype"}
    return args, kwargs, twin_args, twin_kwargs, tensors


def expected_of(row, args, kwargs):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of nothing
        return row.reference(*args, **kwargs)


def compare(actual, expected, gives, dtype, loose, where):
    """Fails unless a result has the structure, dtype, shape and numbers of the reference."""
    if isinstance(expected, (list, tuple)) and not isinstance(actual, taut.Size):
        assert isinstance(actual, (list, tuple)), (
            f"{where}: got {type(actual).__name__}, expected {len(expected)} results"
        )
        assert len(actual) == len(expected), f"{where}: got {len(actual)} results, expected {len(expected)}"
        kinds = gives if isinstance(gives, tuple) else (gives,) * len(expected)
        for i, (a, e, kind) in enumerate(zip(actual, expected, kinds)):
            compare(a, e, kind, dtype, loose, f"{where}[{i}]")
        return
    if not isinstance(expected, (np.ndarray, np.generic, Unspecified)):
        assert actual == expected and type(actual) is not taut.Tensor, f"{where}: got {actual}, expected {expected}"
        return
    assert isinstance(actual, taut.Tensor), f"{where}: got {type(actual).__name__}, expected a tensor"
    wanted = gives(dtype) if callable(gives) else gives
    assert actual.dtype == wanted, f"{where}: got {actual.dtype}, expected {wanted}"
    assert tuple(actual.shape) == tuple(expected.shape), (
        f"{where}: got shape {tuple(actual.shape)}, expected {expected.shape}"
    )
    if isinstance(expected, Unspecified):
        return
    got = to_numpy(actual)
    if wanted in TOLERANCE:
        coarsest = dtype if dtype in HALVES else wanted
        relative, absolute = TOLERANCE[coarsest]
        np.testing.assert_allclose(got.astype(np.float64), expected, relative * loose, absolute * loose, err_msg=where)
    else:
        with np.errstate(all="ignore"):
            wrapped = np.asarray(expected).astype(NUMPY[wanted])
        np.testing.assert_array_equal(got, wrapped, err_msg=where)


def kind_of(row, one):
    """A `dtype` among the arguments decides the dtype of the result."""
    return one.kwargs.get("dtype") or row.gives


def try_row(row, dtype, layout=plain):
    """The function with every call of a row, and that no input was changed."""
    function = resolve(row.name)
    for one in row.calls:
        args, kwargs, twin_args, twin_kwargs, tensors = prepare(one, dtype, layout)
        before = [to_numpy(tensor).copy() for tensor in tensors]
        where = f"{row.name}{one!r} of {dtype}, {layout.__name__}"
        try:
            actual = function(*args, **kwargs)
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
        compare(actual, expected_of(row, twin_args, twin_kwargs), kind_of(row, one), dtype, row.loose, where)
        for tensor, numbers in zip(tensors, before):
            np.testing.assert_array_equal(to_numpy(tensor), numbers, err_msg=f"{where} changed its input")
        if row.is_view:
            views = actual if isinstance(actual, tuple) else (actual,)
            assert all(view._base is not None or view is tensors[0] for view in views), f"{where} is no view"


# Methods whose arguments stand in another order than the function's. They have rows of their own.
OTHER_ORDER = ("where", "polygamma")
# detach_ of a view is refused, and the inputs of try_in_place are views. bernoulli_ has another first argument.
NOT_IN_PLACE = ("detach", "bernoulli")


def method_of(row):
    """The name of the method that does what a row does, or None."""
    name = row.name.rpartition(".")[2]
    return name if row.name == name and name not in OTHER_ORDER and hasattr(taut.Tensor, name) else None


def starts_with_tensor(one):
    return bool(one.args) and isinstance(one.args[0], np.ndarray)


def try_method(row, dtype):
    """`x.op(...)` does what `op(x, ...)` does."""
    for one in filter(starts_with_tensor, row.calls):
        args, kwargs, twin_args, twin_kwargs, _ = prepare(one, dtype)
        actual = getattr(args[0], method_of(row))(*args[1:], **kwargs)
        compare(
            actual,
            expected_of(row, twin_args, twin_kwargs),
            kind_of(row, one),
            dtype,
            row.loose,
            f"x.{row.name}{one!r}",
        )


def writes(row):
    """Whether the op of a row writes into its first argument."""
    return row.name.endswith("_")


def try_writer(row, dtype):
    """A function whose name ends in _ gives its first argument, with the numbers of the reference in it."""
    for one, layout in ((one, layout) for one in row.calls for layout in (plain, transposed)):
        args, kwargs, twin_args, twin_kwargs, _ = prepare(one, dtype, layout)
        expected = expected_of(row, twin_args, twin_kwargs)
        returned = resolve(row.name)(*args, **kwargs)
        assert returned is args[0], f"{row.name} gives another tensor"
        compare(args[0], np.asarray(expected), row.gives, dtype, row.loose, f"{row.name}{one!r}")


def try_in_place(row, dtype):
    """`x.op_(...)` writes into x, a view here, what `op(x, ...)` gives. Tells how many calls could be in place."""
    count = 0
    for one in filter(starts_with_tensor, row.calls):
        args, kwargs, twin_args, twin_kwargs, tensors = prepare(one, dtype, transposed)
        expected = expected_of(row, twin_args, twin_kwargs)
        if (
            np.shape(expected) != tuple(tensors[0].shape)
            or not callable(row.gives)
            or row.gives(dtype) not in (dtype, taut.bool)
        ):
            continue
        count += 1
        returned = getattr(args[0], method_of(row) + "_")(*args[1:], **kwargs)
        assert returned is args[0], f"{row.name}_ gives another tensor"
        compare(args[0], np.asarray(expected, float), SAME, dtype, row.loose, f"x.{row.name}_{one!r}")
    return count
