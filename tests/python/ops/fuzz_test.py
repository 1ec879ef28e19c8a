"""Ops called with arguments that make no sense, drawn at random: an exception of Taut or of Python may come, nothing
else, and no input is changed. TAUT_FUZZ_SEED repeats a run and TAUT_FUZZ_CALLS makes it longer."""

import os
import random

import numpy as np
import pytest

import rows  # noqa: F401  fills the table
import table
import taut

SEED = int(os.environ.get("TAUT_FUZZ_SEED", random.SystemRandom().randrange(2**32)))
CALLS = int(os.environ.get("TAUT_FUZZ_CALLS", 6000))
EXPECTED = (
    taut.Error,
    TypeError,
    ValueError,
    IndexError,
    OverflowError,
    RuntimeError,
    MemoryError,
    AttributeError,
    NotImplementedError,
)
DTYPES = table.ALL
LEFT_OUT = (
    # They do not look at what they are called on: Tensor.tolist(3) ends the process.
    *("Tensor.tolist", "Tensor.type", "Tensor.stride"),
    # They make as many tensors as they are asked for, until memory ends.
    *("tensor_split", "hsplit", "vsplit", "dsplit"),
)


def small_tensor(choose):
    shape = [choose.choice([0, 1, 1, 2, 3, 5]) for _ in range(choose.choice([0, 1, 1, 2, 2, 3, 4, 5]))]
    values = np.array(
        [
            choose.choice([0, 1, -1, 2, 3, 1.5, -7, 100, 1e30, float("nan"), float("inf")])
            for _ in range(int(np.prod(shape)))
        ]
    )
    dtype = choose.choice(DTYPES)
    if not dtype.is_floating_point:
        values = np.clip(np.nan_to_num(values), -128, 127)
    tensor = taut.tensor(values.reshape(shape)).to(dtype)
    if tensor.dim() > 1 and choose.random() < 0.3:
        tensor = tensor.transpose(0, 1)
    if choose.random() < 0.1:
        tensor = tensor.expand(2, *tensor.shape)
    return tensor


def number(choose):
    # Sizes stay below what memory holds, or far above it.
    return choose.choice(
        [
            0,
            1,
            -1,
            2,
            3,
            5,
            -5,
            9,
            64,
            2**45,
            2**62,
            2**63 - 1,
            -(2**63),
            2**70,
            0.5,
            -1.5,
            1e308,
            float("nan"),
            float("inf"),
            True,
        ]
    )


def anything(choose):
    kind = choose.random()
    if kind < 0.45:
        return small_tensor(choose)
    if kind < 0.7:
        return number(choose)
    if kind < 0.85:
        return [
            choose.choice([0, 1, -1, 2, 3, 2**62, -(2**63), 7]) for _ in range(choose.choice([0, 1, 2, 2, 3, 4, 9]))
        ]
    if kind < 0.9:
        return tuple(small_tensor(choose) for _ in range(choose.randrange(4)))
    return choose.choice(
        [
            None,
            "",
            "mean",
            "sum",
            "ij,jk->ik",
            "\0",
            "é" * 50,
            b"x",
            object(),
            {},
            {"a": 1},
            [None],
            [[1], [2, 3]],
            taut.float32,
            taut.int8,
            np.ones(2),
            1j,
            ...,
        ]
    )


def near(choose, one):
    """The arguments of a right call with one of them spoiled: this reaches further than noise alone."""
    args, kwargs, _, _, _ = table.prepare(one, choose.choice(DTYPES))
    keys = list(range(len(args))) + list(kwargs)
    if keys:
        spoiled = choose.choice(keys)
        (args if isinstance(spoiled, int) else kwargs)[spoiled] = anything(choose)
    return args, kwargs


def tensors_in(args):
    for arg in args:
        if isinstance(arg, taut.Tensor):
            yield arg
        elif isinstance(arg, (list, tuple)):
            yield from tensors_in(arg)


def test_no_call_does_more_than_raise(capsys):
    with capsys.disabled():  # said before anything can end the process
        print(f" TAUT_FUZZ_SEED={SEED} ", end="", flush=True)
    choose = random.Random(SEED)
    raised = 0
    for at in range(CALLS):
        row = choose.choice(table.ROWS)
        if row.name in LEFT_OUT:
            continue
        if choose.random() < 0.6:
            args, kwargs = near(choose, choose.choice(row.calls))
        else:
            args, kwargs = [anything(choose) for _ in range(choose.randrange(5))], {}
        inputs = list(tensors_in([*args, *kwargs.values()]))
        before = [table.to_numpy(tensor).copy() for tensor in inputs]
        where = f"call {at} of seed {SEED}: {row.name}({args!r}, {kwargs!r})"
        failed = False
        try:
            table.resolve(row.name)(*args, **kwargs)
        except EXPECTED as error:
            failed = True
            raised += 1
            assert str(error) and not isinstance(error, taut.InternalError), f"{where}: {error!r}"
        except BaseException as error:
            raise AssertionError(f"{where}: {error!r}") from error
        in_place = row.name.startswith("nn.functional.") and any(value is True for value in (*args, *kwargs.values()))
        if failed or not (table.writes(row) or in_place):
            for tensor, values in zip(inputs, before):
                assert np.array_equal(table.to_numpy(tensor), values, equal_nan=True), f"{where} changed an input"
    assert raised > CALLS // 4


@pytest.mark.parametrize(
    "name", sorted({row.name for row in table.ROWS if table.method_of(row) and hasattr(taut.Tensor, row.name + "_")})
)
def test_a_refused_write_in_place_changes_nothing(name):
    choose = random.Random(f"{SEED} {name}")
    for _ in range(12):
        x = small_tensor(choose)
        before = table.to_numpy(x).copy()
        args = [anything(choose) for _ in range(choose.randrange(4))]
        try:
            getattr(x, name + "_")(*args)
        except EXPECTED:
            assert np.array_equal(table.to_numpy(x), before, equal_nan=True), (
                f"{name}_({args!r}) failed and changed {before!r}"
            )
