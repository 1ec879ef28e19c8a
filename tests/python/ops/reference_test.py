"""Every op of the table against NumPy: every dtype, three memory layouts, as a function, a method and in place."""

import pytest

import taut
import rows
import table

FUNCTIONS = [(row, dtype) for row in table.ROWS for dtype in row.dtypes]


def label(value):
    return value.name if isinstance(value, table.Row) else str(value).partition(".")[2]


@pytest.mark.parametrize("row, dtype", FUNCTIONS, ids=label)
def test_function(row, dtype):
    table.try_row(row, dtype)
