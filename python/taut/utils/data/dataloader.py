"""The batches of a dataset, prepared by worker threads ahead of time."""

from ..._C import _data
from .collate import default_collate, default_convert
from .dataset import native_dataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler, native_batch_sampler, native_sampler

__all__ = ["DataLoader", "batch_generator"]


class DataLoader:
    """The batches of `dataset`, one epoch for each `for`; len() is their number.

    The batches, their order and all random numbers of `batch_generator()` are the same whatever the number of workers.

    batch_size: samples in a batch; None gives single samples. shuffle: a new random order each epoch, drawn from `generator`.
    sampler: an order of indices in its place. batch_sampler: lists of indices in the place of all of those. num_workers:
    threads of this process that make batches; 0 makes them when they are asked for. collate_fn: from the list of samples to
    the batch. drop_last: leave out the last batch when it is short. prefetch_factor: batches ahead for each worker. timeout:
    seconds to wait for a batch of a worker, 0 for as long as it takes; taut.Error after that.

    An error in the dataset comes out of the iteration with the sample's index in front of its message; the next batch can
    still be had. pin_memory, persistent_workers and multiprocessing_context are PyTorch's and without effect."""

    def __init__(
        self, dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None, num_workers=0, collate_fn=None,
        pin_memory=False, drop_last=False, timeout=0, worker_init_fn=None, multiprocessing_context=None, generator=None,
        *, prefetch_factor=None, persistent_workers=False, pin_memory_device="", in_order=True,
    ):
        if worker_init_fn is not None:
            raise NotImplementedError(
                "DataLoader: worker_init_fn is for worker processes; the workers here are threads of this process, and "
                "batch_generator() gives random numbers that do not depend on them"
            )
        if not hasattr(dataset, "__len__"):
            raise TypeError(f"DataLoader: a dataset needs __len__ and __getitem__; got a {type(dataset).__name__}")
        if batch_size is None and (drop_last or batch_sampler is not None):
            raise ValueError("DataLoader: batch_size=None gives single samples, which drop_last and batch_sampler exclude")
        self.dataset = dataset
        self.batch_size = None if batch_sampler is not None else batch_size
        self.num_workers = num_workers
        self.prefetch_factor = 2 if prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.drop_last = drop_last
        self.timeout = timeout
        self.generator = generator
        self.collate_fn = collate_fn or (default_convert if self.batch_size is None and batch_sampler is None else default_collate)
        whole = native_dataset(dataset) if collate_fn is None and batch_size is not None else None
        if whole is None:
            whole = _data.PythonDataset(len(dataset), _fetcher(dataset, self.collate_fn, batch_size is None))
        self._loader = _data.DataLoader(
            whole, 1 if batch_size is None else batch_size, bool(shuffle), native_sampler(sampler),
            native_batch_sampler(batch_sampler), num_workers, bool(drop_last), self.prefetch_factor, generator, float(timeout),
        )
        if sampler is None and batch_sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        self.sampler = sampler
        if batch_sampler is None and batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_sampler = batch_sampler

    def __iter__(self):
        return self._loader.iterate()

    def __len__(self):
        return len(self._loader)

    def state_dict(self):
        """Where this loader stands: load it into an equal loader, and the next batch is the next batch."""
        return self._loader.state_dict()

    def load_state_dict(self, state_dict):
        """Goes on where `state_dict` tells, with the next iteration. Raises ValueError for a place that is not there."""
        self._loader.load_state_dict(state_dict)


def batch_generator():
    """Random numbers for a dataset that augments its samples: while a batch is made, the generator of that batch, seeded by
    epoch and batch; elsewhere the default generator."""
    return _data.batch_generator()


def _fetcher(dataset, collate, is_single):
    def fetch(indices):
        if hasattr(dataset, "__getitems__") and not is_single:
            try:
                samples = dataset.__getitems__(indices)
            except Exception as error:
                raise _with_place(error, f"samples {indices[0]} to {indices[-1]}: ")
            return collate(samples)
        samples = []
        for index in indices:
            try:
                samples.append(dataset[index])
            except Exception as error:
                raise _with_place(error, f"sample {index}: ")
        return collate(samples[0] if is_single else samples)

    return fetch


def _with_place(error, place):
    """The same error, whose message tells which sample it is about."""
    if error.args and isinstance(error.args[0], str):
        error.args = (place + error.args[0], *error.args[1:])
    elif not error.args:
        error.args = (place.rstrip(": "),)
    elif hasattr(error, "add_note"):
        error.add_note("DataLoader: " + place.rstrip(": "))
    return error
