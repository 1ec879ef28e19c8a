"""Calls on a GPU beside the same calls on the CPU: wrong ones are refused alike, tensors of two devices do not mix.

Runs where there is a GPU. TAUT_FUZZ_SEED repeats a run and TAUT_FUZZ_CALLS makes it longer."""

import random

import fuzz_test
import numpy as np
import pytest
import rows  # noqa: F401  fills the table
import table
import taut

pytestmark = pytest.mark.skipif(not taut.cuda.is_available(), reason="no GPU")

# Ops that move their arguments, look at none of their elements, or say where they lie.
ANYWHERE = ("Tensor.cpu", "Tensor.cuda", "Tensor.to", "Tensor.type", "Tensor.copy_", "Tensor.pin_memory", "tensor")


def on(device, value):
    """The value with its tensors on a device, as they lie."""
    if isinstance(value, taut.Tensor):
        if value.device.type == device:
            return value
        if not value.is_contiguous() and value.numel():
            # The same strides over there.
            span = sum((size - 1) * stride for size, stride in zip(value.shape, value.stride())) + 1
            flat = value.as_strided((span,), (1,), value.storage_offset())
            return flat.to(device).as_strided(value.shape, value.stride(), 0)
        return value.to(device)
    if type(value) in (list, tuple):
        return type(value)(on(device, item) for item in value)
    return value


def outcome(name, args, kwargs):
    """What a call comes to: None, or the exception."""
    try:
        table.resolve(name)(*args, **kwargs)
        taut.cuda.synchronize()
        return None
    except fuzz_test.EXPECTED as error:
        forget_faults()
        return error


def forget_faults():
    """What kernels found before the call was refused would be told at the next call that waits."""
    try:
        taut.cuda.synchronize()
    except fuzz_test.EXPECTED:
        pass


def in_words(error):
    return str(error).replace("cuda:0", "cpu").replace("device='cuda'", "device='cpu'")


def test_wrong_calls_are_refused_alike(capsys):
    with capsys.disabled():
        print(f" TAUT_FUZZ_SEED={fuzz_test.SEED} ", end="", flush=True)
    choose = random.Random(fuzz_test.SEED)
    refused, at = 0, 0
    different = []
    while refused < 5000 or at < fuzz_test.CALLS:
        at += 1
        row = choose.choice(table.ROWS)
        if row.name in (*fuzz_test.LEFT_OUT, *ANYWHERE):
            continue
        if choose.random() < 0.6:
            args, kwargs = fuzz_test.near(choose, choose.choice(row.calls))
        else:
            args, kwargs = [fuzz_test.anything(choose) for _ in range(choose.randrange(5))], {}
        if not any(True for _ in fuzz_test.tensors_in([*args, *kwargs.values()])):
            continue
        there = on("cuda", list(args)), {key: on("cuda", value) for key, value in kwargs.items()}
        here = on("cpu", list(args)), {key: on("cpu", value) for key, value in kwargs.items()}
        on_cpu = outcome(row.name, *here)
        on_gpu = outcome(row.name, *there)
        if any("division of integers by zero" in str(error) for error in (on_cpu, on_gpu)):
            continue  # on a GPU it gives 0: docs/differences.md
        if any(isinstance(error, MemoryError) for error in (on_cpu, on_gpu)):
            continue  # how much memory there is differs
        refused += on_cpu is not None
        same = type(on_cpu) is type(on_gpu) and (
            # Indices are looked at by kernels: which of several is told of first is a matter of the device.
            isinstance(on_cpu, IndexError) or on_cpu is None or in_words(on_cpu) == in_words(on_gpu)
        )
        if not same:
            different.append(f"call {at}: {row.name}({args!r}, {kwargs!r})\n  cpu:  {on_cpu!r}\n  cuda: {on_gpu!r}")
    assert not different, f"{len(different)} of {refused}:\n" + "\n".join(different[:40])


def with_one_moved(one):
    """Calls of two tensors or more, one of which lies on the other device."""
    args, kwargs, _, _, tensors = table.prepare(one, taut.float32)
    if sum(tensor.dim() > 0 and tensor.numel() > 0 for tensor in tensors) < 2:
        return
    for moved in tensors:
        if moved.dim() == 0 or moved.numel() == 0:
            continue
        there = "cpu" if table.DEVICE == "cuda" else "cuda"
        swap = lambda value: (  # noqa: E731
            value.to(there)
            if value is moved
            else type(value)(map(swap, value))
            if type(value) in (list, tuple)
            else value
        )
        yield [swap(arg) for arg in args], {key: swap(value) for key, value in kwargs.items()}


# As in PyTorch an index may lie on the CPU, what is written into a part of a tensor may come from anywhere, and some ops
# read shapes alone.
MIXES = (
    *("index_put", "index_put_", "diagonal_scatter", "select_scatter", "slice_scatter"),
    *("broadcast_tensors", "Tensor.view_as", "Tensor.reshape_as", "Tensor.expand_as", "Tensor.type_as"),
)


@pytest.mark.parametrize("row", [row for row in table.ROWS if taut.float32 in row.dtypes], ids=lambda row: row.name)
def test_devices_do_not_mix(row):
    if row.name in (*ANYWHERE, *MIXES):
        pytest.skip("takes tensors of two devices")
    for one in row.calls:
        for args, kwargs in with_one_moved(one):
            with pytest.raises((taut.DeviceError, RuntimeError)) as caught:
                table.resolve(row.name)(*args, **kwargs)
            assert "cuda:0" in str(caught.value) and "cpu" in str(caught.value), f"{row.name}{one!r}: {caught.value}"
    taut.cuda.synchronize()


def test_indices_out_of_range_are_named_at_the_next_wait():
    weight = taut.zeros(5, 3, device="cuda")
    taut.nn.functional.embedding(taut.tensor([1, 7], device="cuda"), weight)
    with pytest.raises(IndexError, match="embedding.*7.*5"):
        taut.cuda.synchronize()
    taut.zeros(4, device="cuda").gather(0, taut.tensor([9], device="cuda"))
    with pytest.raises(IndexError, match="gather.*9.*4"):
        taut.zeros(1, device="cuda").cpu()
    logits = taut.zeros(4, 3, device="cuda")
    taut.nn.functional.cross_entropy(logits, taut.tensor([0, 1, 5, 2], device="cuda"))
    with pytest.raises(IndexError, match="cross_entropy.*5.*3"):
        taut.cuda.synchronize()
    assert (weight + 1).sum().item() == 15


def test_cpu_numbers_go_with_any_device():
    x = taut.ones(3, device="cuda")
    assert (x * taut.tensor(2.0)).tolist() == [2, 2, 2]
    assert (x + np.float32(1)).tolist() == [2, 2, 2]
    x[taut.tensor([0, 2])] = 5
    assert x.tolist() == [5, 1, 5]
