"""GPUs: how many there are, which one is current, and waiting for them."""

from . import _C


def is_available():
    return _C._cuda_is_available()


def device_count():
    return _C._cuda_device_count()


def is_built():
    return _C._cuda_is_built()


def synchronize(device=None):
    if is_available():
        _C._cuda_synchronize("cuda" if device is None else device)


def memory_stats(device="cuda"):
    return _C.memory_stats(device)


def memory_allocated(device="cuda"):
    return _C.memory_stats(device)["allocated"] if is_available() else 0


def max_memory_allocated(device="cuda"):
    return _C.memory_stats(device)["max_allocated"] if is_available() else 0


def memory_reserved(device="cuda"):
    return _C.memory_stats(device)["reserved"] if is_available() else 0


def reset_peak_memory_stats(device="cuda"):
    if is_available():
        _C.reset_peak_memory_stats(device)


def empty_cache():
    if is_available():
        _C.empty_cache("cuda")


def manual_seed(seed):
    _C.manual_seed(seed)


def manual_seed_all(seed):
    _C.manual_seed(seed)
