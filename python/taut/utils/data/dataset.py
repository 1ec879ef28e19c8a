"""Datasets: samples by index."""

from bisect import bisect_right
from itertools import accumulate

from ..._C import Tensor, _data

__all__ = ["ConcatDataset", "Dataset", "Subset", "TensorDataset", "random_split", "stratified_split"]


class Dataset:
    """Samples by index. A subclass defines `__getitem__(index)` and `__len__()`.

    With worker threads `__getitem__` is called from several threads at once. A subclass may also define
    `__getitems__(indices)`, which returns the samples of a whole batch for `collate_fn`."""

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__}: a Dataset needs a method __getitem__")

    def __add__(self, other):
        return ConcatDataset([self, other])


class TensorDataset(Dataset):
    """Rows of tensors whose first sizes are equal; a sample is the tuple of the i-th rows.

    Raises ShapeError when first sizes differ, ValueError for no tensors."""

    def __init__(self, *tensors):
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"TensorDataset: expected tensors; got a {type(tensor).__name__}")
        self._rows = _data.TensorDataset(tensors)
        self.tensors = tensors

    def __getitem__(self, index):
        if isinstance(index, int):
            return self._rows._get(index + len(self) if index < 0 else index)
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self):
        return len(self._rows)

    def __getstate__(self):
        return {name: item for name, item in vars(self).items() if name != "_rows"}

    def __setstate__(self, state):
        vars(self).update(state)
        self._rows = _data.TensorDataset(self.tensors)


class Subset(Dataset):
    """The samples of another dataset at some indices, in their order."""

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index):
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self):
        return len(self.indices)


class ConcatDataset(Dataset):
    """One dataset after the other."""

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: there are no datasets")
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __getitem__(self, index):
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"ConcatDataset: index {index} out of range; got {size} samples")
        index %= size
        part = bisect_right(self.cumulative_sizes, index)
        return self.datasets[part][index - (self.cumulative_sizes[part - 1] if part else 0)]

    def __len__(self):
        return self.cumulative_sizes[-1]


def random_split(dataset, lengths, generator=None):
    """Subsets of the given lengths, chosen at random.

    lengths: counts that add up to len(dataset), or shares that add up to 1; what rounding leaves over goes to the first
    parts in turn. Raises ValueError for other sums."""
    return [Subset(dataset, indices) for indices in _data.random_split(len(dataset), tuple(lengths), generator)]


def stratified_split(labels, fraction, generator=None):
    """Two lists of indices, of which the second has the share `fraction` of every class.

    labels: integers, shape (n,). The members are chosen at random; both lists ascend. Raises ShapeError for labels of another
    shape, ValueError for a fraction outside 0..1."""
    return _data.stratified_split(labels, fraction, generator)


def native_dataset(dataset):
    """The C++ dataset that gives the same samples, or None for one that only Python can read."""
    if type(dataset) is TensorDataset:
        return dataset._rows
    if type(dataset) is Subset:
        whole = native_dataset(dataset.dataset)
        return None if whole is None else _data.Subset(whole, list(dataset.indices))
    return None
