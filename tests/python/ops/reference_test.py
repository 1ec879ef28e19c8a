"""Every op of the table against NumPy: every dtype, three memory layouts, as a function, as a method and in place."""

import pytest

import rows  # noqa: F401  fills the table
import table
import taut
import taut.linalg
import taut.nn.functional
import taut.special

FUNCTIONS = [(row, dtype) for row in table.ROWS if not table.writes(row) for dtype in row.dtypes]
WRITERS = [(row, dtype) for row in table.ROWS if table.writes(row) for dtype in row.dtypes]
LAYOUTS = [
    (row, layout)
    for row, dtype in FUNCTIONS
    for layout in (table.transposed, table.spread)
    if dtype == row.dtypes[0] and not row.contiguous
]
METHODS = [row for row in table.ROWS if table.method_of(row)]
IN_PLACE = [row for row in METHODS if hasattr(taut.Tensor, row.name + "_") and row.name not in table.NOT_IN_PLACE]

# Public names that have no row, and why.
NO_ROW = {
    "from_numpy": "shares memory: interop_test.py",
    "from_dlpack": "shares memory: interop_test.py",
    "Tensor.__dlpack__": "shares memory: interop_test.py",
    "Tensor.__dlpack_device__": "shares memory: interop_test.py",
    "Tensor.numpy": "shares memory: interop_test.py",
    "Tensor.data_ptr": "an address: interop_test.py",
    "Tensor.cuda": "moves to a GPU: tests/gpu",
    "Tensor.pin_memory": "needs a GPU: cuda_test.py",
    "Tensor.is_pinned": "where it lies: cuda_test.py",
    "Tensor.record_stream": "needs a GPU: cuda_test.py",
    "Tensor.retain_grad": "of the tape: autograd_test.py",
    "Tensor.requires_grad_": "of the tape: autograd_test.py",
    "Tensor.detach_": "of the tape: autograd_test.py",
    "Tensor._is_view": "every view op of the table is asked",
    "Tensor.new_tensor": "tensor() with another default dtype: arguments_test.py",
    "Tensor.bernoulli_": "random: random_test.py",
    "Tensor.cauchy_": "random: random_test.py",
    "Tensor.exponential_": "random: random_test.py",
    "Tensor.geometric_": "random: random_test.py",
    "Tensor.log_normal_": "random: random_test.py",
    "Tensor.normal_": "random: random_test.py",
    "Tensor.random_": "random: random_test.py",
    "Tensor.uniform_": "random: random_test.py",
}


def label(value):
    return (
        value.name
        if isinstance(value, table.Row)
        else value.__name__
        if callable(value)
        else str(value).partition(".")[2]
    )


@pytest.mark.parametrize("row, dtype", FUNCTIONS, ids=label)
def test_function(row, dtype):
    table.try_row(row, dtype)


@pytest.mark.parametrize("row, layout", LAYOUTS, ids=label)
def test_layout(row, layout):
    table.try_row(row, row.dtypes[0], layout)


@pytest.mark.parametrize("row, dtype", WRITERS, ids=label)
def test_writer(row, dtype):
    table.try_writer(row, dtype)


@pytest.mark.parametrize("row", METHODS, ids=label)
def test_method(row):
    table.try_method(row, row.dtypes[0])


def test_in_place():
    without = {row.name for row in IN_PLACE}
    for row in IN_PLACE:
        if table.try_in_place(row, row.dtypes[0]):
            without.discard(row.name)
    assert without == set(), "no call of these rows could be tried in place"


def public_ops():
    holders = (
        ("", taut),
        ("Tensor.", taut.Tensor),
        ("nn.functional.", taut.nn.functional),
        ("linalg.", taut.linalg),
        ("special.", taut.special),
    )
    for prefix, holder in holders:
        for name, item in vars(holder).items():
            if hasattr(item, "_signatures"):
                yield prefix + name


def test_every_public_op_has_a_row():
    known = {row.name for row in table.ROWS}
    known |= {"Tensor." + row.name for row in METHODS} | {"Tensor." + row.name + "_" for row in IN_PLACE}
    known |= {row.name + "_" for row in IN_PLACE}
    missing = [name for name in public_ops() if name not in known and name not in NO_ROW]
    assert missing == [], "add rows to tests/python/ops/rows_*.py"


def test_no_needless_exemption():
    known = {row.name for row in table.ROWS} | {"Tensor." + row.name for row in METHODS}
    assert [name for name in NO_ROW if name in known or name not in set(public_ops())] == []
