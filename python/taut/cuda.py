"""GPUs: how many there are, which one is current, and waiting for them."""

from . import _C

__all__ = [
    "device_count", "empty_cache", "is_available", "is_built", "manual_seed", "manual_seed_all", "max_memory_allocated",
    "memory_allocated", "memory_reserved", "memory_stats", "reset_peak_memory_stats", "synchronize",
]


def is_available():
    """Whether at least one GPU can be used."""
    return _C._cuda_is_available()


def device_count():
    """The number of GPUs that CUDA sees."""
    return _C._cuda_device_count()


def is_built():
    """Whether this build has CUDA kernels."""
    return _C._cuda_is_built()


def synchronize(device=None):
    """Waits until all work queued on the GPU is done. CudaError when some of it failed."""
    if is_available():
        _C._cuda_synchronize("cuda" if device is None else device)


def memory_stats(device="cuda"):
    """What the allocator of a GPU holds, in bytes and counts, as a dict."""
    return _C.memory_stats(device)


def memory_allocated(device="cuda"):
    """Bytes of living tensors on the GPU; 0 without one."""
    return _C.memory_stats(device)["allocated"] if is_available() else 0


def max_memory_allocated(device="cuda"):
    """The most bytes of living tensors so far."""
    return _C.memory_stats(device)["max_allocated"] if is_available() else 0


def memory_reserved(device="cuda"):
    """Bytes that the allocator holds, used or not."""
    return _C.memory_stats(device)["reserved"] if is_available() else 0


def reset_peak_memory_stats(device="cuda"):
    """Starts max_memory_allocated anew."""
    if is_available():
        _C.reset_peak_memory_stats(device)


def empty_cache():
    """Gives memory that no tensor uses back to the driver."""
    if is_available():
        _C.empty_cache("cuda")


def manual_seed(seed):
    """Seeds the default generator, whose numbers are the same on every device."""
    _C.manual_seed(seed)


def manual_seed_all(seed):
    """The same as manual_seed."""
    _C.manual_seed(seed)
