"""GPUs: how many there are, which one is current, streams and events, and their memory."""

from . import _C
from ._graphed import GraphedStep, make_graphed

__all__ = [
    "CUDAGraph", "Event", "ExternalStream", "GraphedStep", "Kernel", "Stream", "current_device", "current_stream", "default_stream", "device", "device_count",
    "empty_cache", "get_device_capability", "get_device_name", "get_device_properties", "get_sync_debug_mode",
    "graph", "is_available", "is_built", "is_current_stream_capturing", "make_graphed", "manual_seed", "manual_seed_all", "max_memory_allocated", "max_memory_reserved",
    "mem_get_info", "memory_allocated", "memory_reserved", "memory_snapshot", "memory_stats", "memory_summary",
    "record_memory_history", "reset_peak_memory_stats", "set_device", "set_per_process_memory_fraction", "set_stream",
    "set_sync_debug_mode", "stream", "synchronize",
]

_cuda = _C._cuda
Stream = _cuda.Stream
Event = _cuda.Event
CUDAGraph = _cuda.CUDAGraph
Kernel = _cuda.Kernel


def is_available():
    """Whether at least one GPU can be used."""
    return _cuda.is_available()


def device_count():
    """The number of GPUs that CUDA sees."""
    return _cuda.device_count()


def is_built():
    """Whether this build has CUDA kernels."""
    return _cuda.is_built()


def synchronize(device=None):
    """Waits until all work queued on the GPU is done.

    CudaError when some of it failed, IndexError when a kernel met an index out of range.
    """
    if is_available():
        _cuda.synchronize(device)


def get_device_properties(device=None):
    """Name, compute capability, memory in bytes and multiprocessors of a GPU, as a dict."""
    return _cuda.properties(device)


def get_device_name(device=None):
    """What the maker calls the GPU."""
    return _cuda.properties(device)["name"]


def get_device_capability(device=None):
    """The compute capability of a GPU, as in (9, 0)."""
    found = _cuda.properties(device)
    return found["major"], found["minor"]


# ---- what is current ------------------------------------------------------------------------------


def current_device():
    """The number of the GPU that "cuda" stands for on this thread."""
    return _cuda.current_device()


def set_device(device):
    """Makes a GPU the one that "cuda" stands for on this thread."""
    _cuda.set_device(device)


class device:
    """Makes a GPU current for a block; None changes nothing.

    >>> with taut.cuda.device(1): x = taut.zeros(3, device="cuda")   # doctest: +SKIP
    """

    def __init__(self, device):
        self._device = device

    def __enter__(self):
        self._previous = _cuda.current_device()
        if self._device is not None:
            _cuda.set_device(self._device)
        return self

    def __exit__(self, *failure):
        if self._device is not None:
            _cuda.set_device(self._previous)


def current_stream(device=None):
    """The stream that this thread's work on a GPU goes to."""
    return _cuda.current_stream(device)


def default_stream(device=None):
    """The stream that is current unless another was made so."""
    return _cuda.default_stream(device)


def set_stream(stream):
    """Makes a stream this thread's current one on its GPU."""
    _cuda.set_stream(stream)


def ExternalStream(stream_ptr, device=None):
    """A stream that another library made, by its cudaStream_t as a number."""
    return _cuda.external_stream(stream_ptr, device)


class stream:
    """Makes a stream and its GPU current for a block; None changes nothing."""

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        if self.stream is not None:
            self._device = _cuda.current_device()
            self._previous = _cuda.current_stream(self.stream.device)
            _cuda.set_device(self.stream.device)
            _cuda.set_stream(self.stream)
        return self

    def __exit__(self, *failure):
        if self.stream is not None:
            _cuda.set_stream(self._previous)
            _cuda.set_device(self._device)


# ---- captured graphs ------------------------------------------------------------------------------


def is_current_stream_capturing():
    """Whether this thread's current stream is being captured into a graph."""
    return _cuda.is_current_stream_capturing()


class graph:
    """Captures what a block does on the current GPU into a CUDAGraph, instead of doing it.

    Do the same once before, so that libraries and caches are set up. A replay reads and writes the memory that the block
    did: copy new inputs into its tensors, read results from them. It draws random numbers anew, and optimizers and
    schedules of learning rates go on, as in the block; all else that the host decided, a shape or the way an `if` went,
    stays as it was. What makes the host wait for the GPU, as item() does, cannot be captured: CudaError, and then nothing
    is captured.

    >>> g = taut.cuda.CUDAGraph()                                          # doctest: +SKIP
    >>> with taut.cuda.graph(g): y = model(x)                              # doctest: +SKIP
    >>> x.copy_(batch); g.replay(); y.sum().item()                         # doctest: +SKIP
    """

    def __init__(self, cuda_graph, stream=None):
        self._graph = cuda_graph
        self._stream = stream

    def __enter__(self):
        side = Stream() if self._stream is None else self._stream
        side.wait_stream(_cuda.current_stream())
        self._current = stream(side)
        self._current.__enter__()
        try:
            self._graph.capture_begin()
        except BaseException:
            self._current.__exit__()
            raise

    def __exit__(self, failure, *_):
        try:
            if failure is None:
                self._graph.capture_end()
            else:
                self._graph.abandon()
        finally:
            self._current.__exit__()


# ---- memory ---------------------------------------------------------------------------------------


def mem_get_info(device=None):
    """The bytes that are free on a GPU, and all that it has."""
    return _cuda.mem_get_info(device)


def memory_stats(device=None):
    """What the allocator of a GPU holds, in bytes and counts, as a dict."""
    return _cuda.memory_stats(device)


def memory_allocated(device=None):
    """Bytes of living tensors on the GPU; 0 without one."""
    return _cuda.memory_stats(device)["allocated"] if is_available() else 0


def max_memory_allocated(device=None):
    """The most bytes of living tensors so far."""
    return _cuda.memory_stats(device)["max_allocated"] if is_available() else 0


def memory_reserved(device=None):
    """Bytes that the allocator holds, used or not."""
    return _cuda.memory_stats(device)["reserved"] if is_available() else 0


def max_memory_reserved(device=None):
    """The most bytes that the allocator has held so far."""
    return _cuda.memory_stats(device)["max_reserved"] if is_available() else 0


def reset_peak_memory_stats(device=None):
    """Starts max_memory_allocated and max_memory_reserved anew."""
    if is_available():
        _cuda.reset_peak_memory_stats(device)


def memory_summary(device=None):
    """The counters of a GPU's memory as a table, and what its largest blocks hold."""
    return _cuda.memory_summary(device)


def memory_snapshot(device=None):
    """All blocks of a GPU's memory: address, sizes in bytes, state, stream, and whose result each holds.

    The holder, the name of an op, is known of results made while record_memory_history was on.
    """
    return _cuda.memory_snapshot(device)


def record_memory_history(enabled=True):
    """Whether this thread's ops note in memory which op's result it holds."""
    _cuda.record_memory_history(enabled)


def set_per_process_memory_fraction(fraction, device=None):
    """At most this part, in (0, 1], of the GPU's memory is taken; beyond it OutOfMemoryError is raised."""
    _cuda.set_per_process_memory_fraction(fraction, device)


def empty_cache():
    """Gives memory that no tensor uses back to the driver, on all GPUs."""
    for index in range(device_count()):
        _cuda.empty_cache(index)


def set_sync_debug_mode(enabled):
    """Whether every op waits for its kernel and raises what went wrong there, in its own name. Slow."""
    _cuda.set_sync_debug_mode(bool(enabled))


def get_sync_debug_mode():
    """Whether every op waits for its kernel."""
    return _cuda.get_sync_debug_mode()


def manual_seed(seed):
    """Seeds the default generator, whose numbers are the same on every device."""
    _C.manual_seed(seed)


def manual_seed_all(seed):
    """The same as manual_seed."""
    _C.manual_seed(seed)
