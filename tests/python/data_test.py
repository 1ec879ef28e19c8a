"""Datasets, samplers and the data loader."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from collections import namedtuple

import pytest

import taut
from taut.utils.data import (
    BatchSampler, ConcatDataset, DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler, Subset, SubsetRandomSampler,
    TensorDataset, WeightedRandomSampler, batch_generator, default_collate, random_split, stratified_split,
)


class Squares(Dataset):
    """(i, i * i), and an error at one index."""

    def __init__(self, size, bad=None, delay=0.0):
        self.size, self.bad, self.delay = size, bad, delay

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        time.sleep(self.delay)
        if index == self.bad:
            raise ValueError("this one is bad")
        return taut.tensor(float(index)), index * index


def run(program, **kwargs):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, **kwargs)


# Datasets -------------------------------------------------------------------------------------------------------------------


def test_tensor_dataset_and_subsets():
    x, y = taut.arange(12.0).reshape(6, 2), taut.arange(6)
    whole = TensorDataset(x, y)
    assert len(whole) == 6 and whole[2][0].tolist() == [4, 5] and whole[-1][1] == 5
    part = Subset(whole, [5, 0])
    assert [sample[1].item() for sample in part] == [5, 0]
    both = ConcatDataset([part, whole]) + Squares(2)
    assert len(both) == 10 and both[2][1] == 0 and both[-1][1] == 1
    with pytest.raises(taut.ShapeError, match="first sizes differ"):
        TensorDataset(x, taut.ones(5))
    with pytest.raises(ValueError, match="no tensors"):
        TensorDataset()
    with pytest.raises(TypeError, match="list"):
        TensorDataset([1, 2])
    with pytest.raises(IndexError, match="index 6 out of range"):
        whole[6]
    with pytest.raises(IndexError, match="index 10"):
        both[10]
    with pytest.raises(NotImplementedError, match="__getitem__"):
        Dataset()[0]


def test_tensor_datasets_can_be_copied():
    whole = TensorDataset(taut.arange(4.0))
    for twin in (copy.deepcopy(whole), pickle.loads(pickle.dumps(Subset(whole, [0, 3]))).dataset):
        assert twin[3][0] == 3 and twin.tensors[0] is not whole.tensors[0]


def test_random_split():
    parts = random_split(range(10), [7, 3], generator=taut.Generator().manual_seed(1))
    assert sorted([*parts[0], *parts[1]]) == list(range(10)) and len(parts[0]) == 7
    again = random_split(range(10), [7, 3], generator=taut.Generator().manual_seed(1))
    assert parts[0].indices == again[0].indices != list(range(7))
    assert [len(part) for part in random_split(range(10), [0.5, 0.25, 0.25])] == [6, 2, 2]
    with pytest.raises(ValueError, match="add up to 9; expected 10"):
        random_split(range(10), [6, 3])
    with pytest.raises(ValueError, match="fractions"):
        random_split(range(10), [0.5, 0.4])


def test_stratified_split():
    labels = taut.tensor([0] * 10 + [1] * 20)
    train, test = stratified_split(labels, 0.2, taut.Generator().manual_seed(3))
    assert len(test) == 6 and sorted(train + test) == list(range(30))
    assert labels[test].sum() == 4
    with pytest.raises(ValueError, match="fraction"):
        stratified_split(labels, 2.0)


# Samplers -------------------------------------------------------------------------------------------------------------------


def test_samplers():
    assert list(SequentialSampler("abc")) == [0, 1, 2]
    seeded = [RandomSampler(range(20), generator=taut.Generator().manual_seed(4)) for _ in range(2)]
    first = list(seeded[0])
    assert first == list(seeded[1]) != list(seeded[0]) and sorted(first) == list(range(20)) and len(seeded[0]) == 20
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=50))
    assert len(drawn) == 50 and set(drawn) == {0, 1, 2}
    assert sorted(SubsetRandomSampler([3, 5, 8])) == [3, 5, 8]
    weighted = list(WeightedRandomSampler([0.0, 1.0, 0.0, 3.0], 400))
    assert set(weighted) == {1, 3} and 240 < weighted.count(3) < 360
    with pytest.raises(ValueError):
        WeightedRandomSampler([1.0, -1.0], 2)
    batches = BatchSampler(range(7), 3, drop_last=False)
    assert list(batches) == [[0, 1, 2], [3, 4, 5], [6]] and len(batches) == 3
    assert len(BatchSampler(range(7), 3, drop_last=True)) == 2


class Backwards(Sampler):
    def __init__(self, size):
        self.size = size

    def __iter__(self):
        return iter(range(self.size - 1, -1, -1))

    def __len__(self):
        return self.size


def test_samplers_of_python_in_a_loader():
    loader = DataLoader(Squares(5), batch_size=2, sampler=Backwards(5))
    assert [x.tolist() for x, _ in loader] == [[4, 3], [2, 1], [0]]
    loader = DataLoader(Squares(5), batch_sampler=[[1, 3], [0], [4, 4, 2]], num_workers=1)
    assert len(loader) == 3 and [x.tolist() for x, _ in loader] == [[1, 3], [0], [4, 4, 2]]
    with pytest.raises(ValueError, match="batch_sampler excludes"):
        DataLoader(Squares(5), batch_sampler=[[1]], shuffle=True)
    with pytest.raises(ValueError, match="batch 1 has no samples"):
        list(DataLoader(Squares(5), batch_sampler=[[1], []]))


# Batches --------------------------------------------------------------------------------------------------------------------


def test_collate():
    Point = namedtuple("Point", "x y")
    batch = default_collate([{"p": Point(1, 2.0), "t": taut.ones(2), "s": "a", "l": [True, 3]}] * 2)
    assert batch["p"].x.tolist() == [1, 1] and batch["p"].y.dtype is taut.float64 and batch["t"].shape == (2, 2)
    assert batch["s"] == ["a", "a"] and batch["l"][0].dtype is taut.bool and batch["l"][1].tolist() == [3, 3]
    numpy = pytest.importorskip("numpy")
    assert default_collate([numpy.ones(3, "float32")] * 2).shape == (2, 3)
    assert default_collate([numpy.float64(2)] * 2).tolist() == [2, 2]
    with pytest.raises(taut.ShapeError, match=r"\(2,\) and \(3,\)"):
        default_collate([taut.ones(2), taut.ones(3)])
    with pytest.raises(ValueError, match="2 and 1"):
        default_collate([(1, 2), (1,)])
    with pytest.raises(TypeError, match="object"):
        default_collate([object()])


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_of_a_python_dataset(workers, no_leak):
    loader = DataLoader(Squares(10), batch_size=4, num_workers=workers)
    assert len(loader) == 3
    for _ in range(2):
        batches = list(loader)
        assert [x.tolist() for x, _ in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert batches[2][1].tolist() == [64, 81] and batches[0][1].dtype is taut.int64
    assert len(list(DataLoader(Squares(10), batch_size=4, drop_last=True, num_workers=workers))) == 2
    del batches, loader


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_tensors(workers):
    whole = TensorDataset(taut.arange(20.0).reshape(10, 2), taut.arange(10))
    x, y = next(iter(DataLoader(Subset(whole, [9, 0, 4]), batch_size=2, num_workers=workers)))
    assert x.tolist() == [[18, 19], [0, 1]] and y.tolist() == [9, 0]
    loader = DataLoader(whole, batch_size=3, shuffle=True, num_workers=workers, generator=taut.Generator().manual_seed(2))
    epochs = [[y.tolist() for _, y in loader] for _ in range(2)]
    assert epochs[0] != epochs[1] and all(sorted(sum(epoch, [])) == list(range(10)) for epoch in epochs)
    custom = DataLoader(whole, batch_size=5, num_workers=workers, collate_fn=lambda samples: sum(y.item() for _, y in samples))
    assert list(custom) == [10, 35]


class Noisy(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, index):
        return index, taut.rand(2, generator=batch_generator())


def test_the_same_batches_for_any_number_of_workers():
    def epochs(workers):
        loader = DataLoader(Noisy(), batch_size=5, shuffle=True, num_workers=workers, generator=taut.Generator().manual_seed(9))
        return [[(i.tolist(), noise.tolist()) for i, noise in loader] for _ in range(2)]

    expected = epochs(0)
    assert expected[0] != expected[1]
    assert epochs(1) == expected and epochs(4) == expected
    assert batch_generator() is taut.default_generator


def test_single_samples_and_whole_batches():
    assert [x for _, x in DataLoader(Squares(3), batch_size=None)] == [0, 1, 4]

    class Whole(Squares):
        def __getitems__(self, indices):
            return [(taut.tensor(indices), "all at once")]

    (x, text), = DataLoader(Whole(4), batch_size=4, num_workers=1, collate_fn=lambda samples: samples[0])
    assert x.tolist() == [0, 1, 2, 3] and text == "all at once"


def test_where_a_loader_stands():
    def make():
        return DataLoader(Noisy(), batch_size=5, shuffle=True, num_workers=2, generator=taut.Generator().manual_seed(9))

    loader = make()
    list(loader)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    assert state["epoch"] == 1 and state["cursor"] == 1
    rest = [i.tolist() for i, _ in batches]
    other = make()
    other.load_state_dict(state)
    assert [i.tolist() for i, _ in other] == rest
    with pytest.raises(ValueError, match="no such place"):
        other.load_state_dict({**state, "cursor": 100})


def test_options_are_checked():
    for options, text in [
        (dict(batch_size=0), "batch_size"), (dict(num_workers=-1), "num_workers"), (dict(shuffle=True, sampler=Backwards(4)), "exclude"),
        (dict(prefetch_factor=0), "prefetch_factor"), (dict(timeout=-1), "timeout"), (dict(batch_size=None, drop_last=True), "batch_size=None"),
    ]:
        with pytest.raises(ValueError, match=text):
            DataLoader(Squares(4), **options)
    with pytest.raises(NotImplementedError, match="threads"):
        DataLoader(Squares(4), worker_init_fn=print)
    with pytest.raises(TypeError, match="__len__"):
        DataLoader(iter([1]))


# Errors, threads and ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_errors_name_the_sample_and_the_rest_can_be_had(workers):
    batches = iter(DataLoader(Squares(9, bad=4), batch_size=3, num_workers=workers))
    assert next(batches)[0].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="^sample 4: this one is bad$"):
        next(batches)
    assert next(batches)[0].tolist() == [6, 7, 8]
    with pytest.raises(StopIteration):
        next(batches)


def test_an_error_in_the_first_batch_and_of_other_kinds():
    class Missing(Squares):
        def __getitem__(self, index):
            return {}["key"] if index else open("/nowhere/at/all")

    batches = iter(DataLoader(Missing(3), num_workers=2))
    with pytest.raises(FileNotFoundError) as error:
        next(batches)
    if hasattr(error.value, "__notes__"):
        assert error.value.__notes__ == ["DataLoader: sample 0"]
    with pytest.raises(KeyError, match="sample 1: key"):
        next(batches)
    with pytest.raises(taut.IndexError, match="index 30 out of range"):
        list(DataLoader(TensorDataset(taut.ones(3)), sampler=[0, 30], num_workers=1))


def test_workers_run_at_once_and_the_main_thread_too():
    names, barrier = set(), threading.Barrier(3)

    class Meeting(Squares):
        def __getitem__(self, index):
            names.add(threading.get_ident())
            barrier.wait(timeout=30)  # with the main thread and the other worker
            return index

    batches = iter(DataLoader(Meeting(2), num_workers=2))
    barrier.wait(timeout=30)
    assert [batch.item() for batch in batches] == [0, 1]
    assert len(names) == 2 and threading.get_ident() not in names


def test_thread_local_variables_last_for_a_worker():
    local, made = threading.local(), []

    class Opening(Squares):
        def __getitem__(self, index):
            if not hasattr(local, "file"):
                local.file = object()
                made.append(local.file)
            return index

    assert len(list(DataLoader(Opening(50), num_workers=1))) == 50
    assert len(made) == 1


@pytest.mark.parametrize("whole", [Squares(100, delay=0.001), TensorDataset(taut.ones(100, 3))])
def test_an_iterator_may_be_dropped_early(whole):
    def threads():
        return len(os.listdir("/proc/self/task"))

    list(DataLoader(whole, num_workers=1))  # starts the pool of the ops
    before = threads()
    for _ in range(10):
        batches = iter(DataLoader(whole, batch_size=2, num_workers=3))
        next(batches)
        del batches
    iter(DataLoader(whole, num_workers=2))  # and before the first batch
    gc.collect()
    assert threads() == before


def test_timeout():
    batches = iter(DataLoader(Squares(2, delay=0.3), num_workers=1, timeout=0.05))
    with pytest.raises(taut.Error, match="batch 0 was not ready after 0.05 seconds"):
        next(batches)
    time.sleep(0.5)
    assert next(batches)[0].item() == 0  # it was only late


def test_ctrl_c_while_waiting_for_a_batch():
    program = """
        import threading, time, taut
        from taut.utils.data import DataLoader, Dataset
        class Slow(Dataset):
            def __len__(self): return 4
            def __getitem__(self, index):
                if index == 1: started.set(); release.wait(30)
                return index
        started, release = threading.Event(), threading.Event()
        batches = iter(DataLoader(Slow(), num_workers=1))
        next(batches)
        def interrupt():
            started.wait(30); time.sleep(0.1)
            import os, signal; os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt).start()
        try:
            next(batches)
        except KeyboardInterrupt:
            release.set()
            print([batch.item() for batch in batches])
    """
    result = run(program)
    assert result.stdout == "[1, 2, 3]\n", result.stderr


def test_ctrl_c_in_a_long_backward():
    program = """
        import os, signal, threading, time, taut
        x = taut.ones(300, 300, requires_grad=True)
        y = x
        for _ in range(3000):
            y = y @ x
        threading.Thread(target=lambda: (time.sleep(0.2), os.kill(os.getpid(), signal.SIGINT))).start()
        start = time.time()
        try:
            y.sum().backward()
            print("finished")
        except KeyboardInterrupt:
            print("interrupted", time.time() - start < 5)
        (x * x).sum().backward()
    """
    result = run(program)
    assert result.stdout == "interrupted True\n", result.stderr


def test_the_program_may_end_with_workers_at_work():
    program = """
        import time, taut
        from taut.utils.data import DataLoader, Dataset
        class Endless(Dataset):
            def __len__(self): return 10**6
            def __getitem__(self, index): time.sleep(0.001); return index
        batches = iter(DataLoader(Endless(), num_workers=3))
        next(batches)
        print("done")
    """
    result = run(program)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


def test_an_iterator_may_be_collected_by_its_own_worker():
    program = """
        import gc, threading, time, taut
        from taut.utils.data import DataLoader, Dataset
        collected = threading.Event()
        class Collecting(Dataset):
            def __len__(self): return 1000
            def __getitem__(self, index):
                if index > 0: dropped.wait(30)
                if gc.collect() > 0: collected.set()
                return index
        dropped = threading.Event()
        gc.disable()
        cycle = [iter(DataLoader(Collecting(), num_workers=1, prefetch_factor=50))]
        cycle.append(cycle)
        next(cycle[0])
        del cycle
        dropped.set()
        print(collected.wait(30))
        time.sleep(0.1)
        print(len([batch for batch in DataLoader(Collecting(), batch_size=100)]))
    """
    result = run(program)
    assert (result.returncode, result.stdout) == (0, "True\n10\n"), result.stderr


def test_two_threads_share_no_iterator():
    batches = iter(DataLoader(Squares(3, delay=0.3), num_workers=1))
    thread = threading.Thread(target=lambda: next(batches))
    thread.start()
    time.sleep(0.1)
    with pytest.raises(ValueError, match="another thread"):
        next(batches)
    thread.join()
