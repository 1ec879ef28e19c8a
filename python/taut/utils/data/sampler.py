"""Samplers: in which order the samples of a dataset come."""

from ..._C import _data

__all__ = [
    "BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler", "WeightedRandomSampler",
]


class Sampler:
    """An order of samples. A subclass defines `__iter__()`, which gives the indices of one epoch, and `__len__()`.

    The loader takes all indices of an epoch at its start."""

    def __init__(self, data_source=None):
        pass

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__}: a Sampler needs a method __iter__")


class _NativeSampler(Sampler):
    """A sampler whose indices C++ draws."""

    def __init__(self, order):
        self._order = order

    def __iter__(self):
        return iter(self._order.epoch())

    def __len__(self):
        return len(self._order)


class SequentialSampler(_NativeSampler):
    """0, 1, 2 ... to the size of `data_source`."""

    def __init__(self, data_source):
        super().__init__(_data.SequentialSampler(len(data_source)))
        self.data_source = data_source


class RandomSampler(_NativeSampler):
    """All samples in random order; or `num_samples` of them, with `replacement` as often as they come."""

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        super().__init__(_data.RandomSampler(len(data_source), replacement, num_samples, generator))
        self.data_source = data_source
        self.replacement = replacement
        self.generator = generator

    @property
    def num_samples(self):
        """Samples in an epoch."""
        return len(self)


class SubsetRandomSampler(_NativeSampler):
    """The samples at `indices` in random order."""

    def __init__(self, indices, generator=None):
        super().__init__(_data.SubsetRandomSampler([int(index) for index in indices], generator))
        self.indices = indices
        self.generator = generator


class WeightedRandomSampler(_NativeSampler):
    """`num_samples` samples drawn with the given weights, which need not add up to 1.

    Raises ValueError for a negative or not finite weight, or more samples than weights without replacement."""

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        weights = [float(weight) for weight in weights]
        super().__init__(_data.WeightedRandomSampler(weights, num_samples, replacement, generator))
        self.weights = weights
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator


class BatchSampler(Sampler):
    """Cuts the indices of a sampler into lists of `batch_size`; the last one may be shorter, or is dropped."""

    def __init__(self, sampler, batch_size, drop_last):
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last
        self._batches = _data.BatchSampler(native_sampler(sampler), batch_size, drop_last)

    def __iter__(self):
        return iter(self._batches.epoch())

    def __len__(self):
        return len(self._batches)


def native_sampler(sampler):
    """The C++ sampler of the same order; one that asks the Python object when it must."""
    if sampler is None:
        return None
    if isinstance(sampler, _NativeSampler) and type(sampler).__module__ == __name__:
        return sampler._order
    return _data.PythonSampler(sampler)


def native_batch_sampler(sampler):
    """The C++ batch sampler that makes the same batches."""
    if sampler is None:
        return None
    return sampler._batches if type(sampler) is BatchSampler else _data.PythonBatchSampler(sampler)
