"""Ranges of dtypes, and how tensors are printed."""

from . import _C

_FLOATS = {
    # bits, largest, eps, smallest normal, decimal digits
    "float16": (16, 65504.0, 2.0**-10, 2.0**-14, 1e-3),
    "bfloat16": (16, (2.0 - 2.0**-7) * 2.0**127, 2.0**-7, 2.0**-126, 1e-2),
    "float32": (32, (2.0 - 2.0**-23) * 2.0**127, 2.0**-23, 2.0**-126, 1e-6),
    "float64": (64, (2.0 - 2.0**-52) * 2.0**1023, 2.0**-52, 2.0**-1022, 1e-15),
}


class finfo:
    """The range of a floating dtype: bits, eps, max, min, tiny, smallest_normal, resolution. TypeError for other dtypes."""

    def __init__(self, type=None):
        dtype = _C.get_default_dtype() if type is None else type
        if not dtype.is_floating_point:
            raise TypeError(f"finfo: expected a floating dtype; got {dtype}; iinfo is for integers")
        self.bits, self.max, self.eps, self.tiny, self.resolution = _FLOATS[dtype.name]
        self.min = -self.max
        self.smallest_normal = self.tiny
        self.dtype = dtype.name

    def __repr__(self):
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """The range of an integer dtype: bits, max, min. TypeError for other dtypes."""

    def __init__(self, type):
        if type.is_floating_point or type is _C.bool:
            raise TypeError(f"iinfo: expected an integer dtype; got {type}; finfo is for floats")
        self.bits = 8 * type.itemsize
        magnitude = self.bits - 1 if type.is_signed else self.bits
        self.max = 2**magnitude - 1
        self.min = -(2**magnitude) if type.is_signed else 0
        self.dtype = type.name

    def __repr__(self):
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


_PROFILES = {
    "default": dict(precision=4, threshold=1000, edgeitems=3, linewidth=80),
    "short": dict(precision=2, threshold=1000, edgeitems=2, linewidth=80),
    "full": dict(precision=4, threshold=2**62, edgeitems=3, linewidth=80),
}
_KEYS = ("precision", "threshold", "edgeitems", "linewidth", "sci_mode")


def get_printoptions():
    """How tensors are printed, as a dict of the arguments of set_printoptions."""
    return dict(zip(_KEYS, _C._print_options()))


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
):
    """How tensors are printed: decimals (precision), from how many elements on they are left out (threshold), how many then
    stand at each edge (edgeitems), characters in a line (linewidth), powers of ten or not (sci_mode; None: as the values need).
    profile is 'default', 'short' or 'full'."""
    options = get_printoptions()
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions: profile must be one of {sorted(_PROFILES)}; got {profile!r}")
        options.update(_PROFILES[profile])
    given = dict(precision=precision, threshold=threshold, edgeitems=edgeitems, linewidth=linewidth)
    for key, value in given.items():
        if value is not None:
            options[key] = 2**62 if value == float("inf") else int(value)
    # Given again with each call, as in PyTorch: None means that the values decide.
    options["sci_mode"] = sci_mode
    _C._set_print_options(*(options[key] for key in _KEYS))
