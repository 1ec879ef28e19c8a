"""From samples to batches."""

from collections.abc import Mapping, Sequence

from ... import _C
from ..._C import Tensor

__all__ = ["default_collate", "default_convert"]


def default_collate(batch):
    """Samples of one kind as a batch: tensors, arrays and numbers stacked along a new first dim, strings as a list.

    Tuples and lists become a list of batches, one for each position; dicts and named tuples keep their kind. Raises ShapeError
    for tensors of unlike shapes, ValueError for samples of unlike lengths, TypeError for anything else."""
    first = batch[0]
    if isinstance(first, Tensor):
        _require_equal_shapes(batch)
        return _C.stack(list(batch))
    if isinstance(first, bool):
        return _C.tensor(list(batch))
    if isinstance(first, float):
        return _C.tensor(list(batch), dtype=_C.float64)
    if isinstance(first, int):
        return _C.tensor(list(batch))
    if _is_numpy(first):
        return default_collate([_C.as_tensor(item) for item in batch])
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        _require_equal_lengths(batch)
        return type(first)({key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(column) for column in zip(*batch)))
    if isinstance(first, Sequence):
        _require_equal_lengths(batch)
        return [default_collate(column) for column in zip(*batch)]
    raise TypeError(
        "default_collate: a sample must hold tensors, arrays, numbers, strings, dicts or lists of those; "
        f"got a {type(first).__name__}; pass a collate_fn"
    )


def default_convert(data):
    """What one sample becomes when it is not put into a batch: its NumPy arrays as tensors, all else as it is."""
    if _is_numpy(data):
        return _C.as_tensor(data)
    if isinstance(data, Mapping):
        return type(data)({key: default_convert(item) for key, item in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(item) for item in data))
    if isinstance(data, (tuple, list)):
        return [default_convert(item) for item in data]
    return data


def _is_numpy(item):
    # Without importing NumPy, which nobody else may need.
    return type(item).__module__ == "numpy" and hasattr(item, "dtype") and item.dtype.kind in "biuf"


def _require_equal_shapes(tensors):
    for tensor in tensors:
        if tensor.shape != tensors[0].shape:
            raise _C.ShapeError(
                f"default_collate: tensors of the samples differ in shape; got {tuple(tensors[0].shape)} and {tuple(tensor.shape)}"
            )


def _require_equal_lengths(samples):
    for sample in samples:
        if len(sample) != len(samples[0]):
            raise ValueError(f"default_collate: samples differ in length; got {len(samples[0])} and {len(sample)}")
