"""Tensors and numbers in files: safetensors, IDX (as MNIST comes) and CSV.

    pictures = taut.io.load_idx("train-images-idx3-ubyte.gz")
"""

import os

from ._C import _io

__all__ = ["load_csv", "load_file", "load_idx", "read_metadata", "save_file"]


def save_file(tensors, filename, metadata=None):
    """Writes a dict of tensors as a safetensors file, whole or not at all: after an error the old file is as it was.

    `metadata` is a dict of str to str that the file keeps beside them. Raises IoError, which names the path and the
    system's reason, ValueError for the name "__metadata__", TypeError for what is no tensor."""
    _io.save_file(dict(tensors), os.fspath(filename), _checked_metadata(metadata))


def load_file(filename, device="cpu"):
    """The tensors of a safetensors file by name, over a private mapping of it.

    Nothing is read before it is looked at, and writing to a tensor does not change the file. Raises FormatError for a file
    that is something else, IoError for one that cannot be read; both are OSError too."""
    tensors, _ = _io.load_file(os.fspath(filename))
    if str(device) == "cpu":
        return tensors
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def read_metadata(filename):
    """The words that a safetensors file holds beside its tensors, as a dict of str to str."""
    return _io.load_file(os.fspath(filename))[1]


def load_idx(filename):
    """The array of an IDX file, gzipped or not: uint8, int8, int16, int32, float32 or float64, of any shape.

    Raises FormatError for a file that is something else or ends too early, IoError when it cannot be read."""
    return _io.load_idx(os.fspath(filename))


def load_csv(filename, delimiter=",", skip_rows=0):
    """The numbers of a text file, gzipped or not, as a float64 matrix: a row for each line, without the first `skip_rows`.

    Raises FormatError, which names the line, for what is no number and for lines of unlike lengths."""
    if not isinstance(delimiter, str) or len(delimiter) != 1 or not delimiter.isascii():
        raise ValueError(f"load_csv: delimiter must be one ASCII character; got {delimiter!r}")
    return _io.load_csv(os.fspath(filename), delimiter, skip_rows)


def _checked_metadata(metadata):
    for key, value in (metadata or {}).items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise TypeError(f"metadata maps str to str; got {key!r}: {value!r}")
    return dict(metadata or {})
