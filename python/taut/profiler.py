"""What a program spends its time and memory on: ops, modules, kernels, bytes.

    with taut.profiler.profile() as prof:
        train_step()
    print(prof.key_averages().table(sort_by="self_cuda_time_total", row_limit=20))
    print(prof.key_averages(group_by="module").table())
    prof.export_chrome_trace("trace.json")

The names are those of torch.profiler. Times are microseconds since the profile began.
"""

import enum
import warnings
import weakref
from functools import cached_property

from . import _C
from ._modes import _Mode
from .nn.module import Module as _Module

__all__ = [
    "EventList", "FunctionEvent", "FunctionEventAvg", "Kernel", "ProfilerAction", "ProfilerActivity", "emit_nvtx", "has_nvtx",
    "is_profiling", "peak_bandwidth", "peak_flops", "profile", "record_function", "schedule", "supported_activities",
]

_profiler = _C._profiler
FunctionEventAvg = _profiler.FunctionEventAvg
EventList = _profiler.EventList


class ProfilerAction(enum.Enum):
    """What a step of a profiled loop is for; the last step of a cycle is RECORD_AND_SAVE."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


class ProfilerActivity(enum.Enum):
    """What a profile may watch."""

    CPU = "cpu"
    CUDA = "cuda"


def supported_activities():
    """What this machine has to watch, as a set."""
    return {ProfilerActivity.CPU, ProfilerActivity.CUDA} if _C._cuda.is_available() else {ProfilerActivity.CPU}


def is_profiling():
    """Whether a profile runs somewhere in this process."""
    return _profiler.is_profiling()


def has_nvtx():
    """Whether this build has NVTX, which emit_nvtx needs to do something."""
    return _profiler.has_nvtx()


def peak_flops(device, dtype):
    """Floating-point operations a second that a device can do in a dtype; 0 if unknown.

    Of a GPU by its multiprocessors, clock and NVIDIA's whitepapers, of the CPU by a product that is measured once.
    """
    return _profiler.peak_flops(_C.device(device), dtype)


def peak_bandwidth(device):
    """Bytes a second from and to a device's memory; of the CPU by a copy that is measured once."""
    return _profiler.peak_bandwidth(_C.device(device))


def schedule(*, wait, warmup, active, repeat=0, skip_first=0):
    """What each step of a loop is for, as a function of its number.

    After skip_first steps, cycles of `wait` steps with nothing, `warmup` steps that are recorded and thrown away, and `active`
    ones that are kept; `repeat` cycles, or with 0 for as long as the loop runs.
    """
    plan = _profiler.schedule(wait=wait, warmup=warmup, active=active, repeat=repeat, skip_first=skip_first)
    return lambda step: ProfilerAction(plan(step))


def _numbered(schedule):
    """A schedule as C++ takes it, or None."""
    if schedule is None:
        return None

    def number_of(step):
        action = schedule(step)
        if not isinstance(action, ProfilerAction):
            raise TypeError(f"profile: a schedule must return a ProfilerAction; got {action!r} for step {step}")
        return action.value

    return number_of


class record_function(_Mode):
    """A range with a name of one's own: a context manager, and a decorator.

    >>> with taut.profiler.record_function("augment"):
    ...     x = taut.randn(3) * 2
    """

    def __init__(self, name, args=None):
        self.name = name if args is None else f"{name}, {args}"
        self._range = _profiler.Range(self.name)

    def _again(self):
        return type(self)(self.name)

    def __enter__(self):
        self._range.__enter__()
        return self

    def __exit__(self, *failure):
        self._range.__exit__(*failure)


# Calls of modules ---------------------------------------------------------------------------------------------------------

_plain_call = _Module.__call__
_watchers = 0


def _watched_call(self, *args, **kwargs):
    with _profiler.ModuleRange(self):
        return _plain_call(self, *args, **kwargs)


def _watch_modules(change):
    """Calls of modules from Python are ranges while somebody watches; at other times they cost nothing more."""
    global _watchers
    _watchers += change
    _Module.__call__ = _watched_call if _watchers else _plain_call


class emit_nvtx(_Mode):
    """While it is entered, ops, backward functions, modules and ranges are NVTX ranges, for Nsight Systems and other tools.

    Without NVTX in the build (has_nvtx()) it warns and does nothing.
    """

    def __init__(self, enabled=True):
        self.enabled = enabled
        self._emitting = None

    def _again(self):
        return type(self)(self.enabled)

    def __enter__(self):
        if self.enabled and not has_nvtx():
            warnings.warn("emit_nvtx: this build of taut has no NVTX: it comes with the CUDA toolkit", UserWarning, stacklevel=2)
        elif self.enabled:
            self._emitting = _profiler.EmitNvtx()
            _watch_modules(+1)
        return self

    def __exit__(self, *failure):
        if self._emitting is not None:
            self._emitting = None
            _watch_modules(-1)


# Events -------------------------------------------------------------------------------------------------------------------


class Interval:
    """From `start` to `end`, in microseconds since the profile began."""

    __slots__ = ("start", "end")

    def __init__(self, start, end):
        self.start, self.end = start, end

    def elapsed_us(self):
        """How long it took."""
        return self.end - self.start

    def __repr__(self):
        return f"Interval(start={self.start}, end={self.end})"


class Kernel:
    """A kernel, copy or fill on a GPU: name, kind ("kernel", "memcpy", "memset"), time_range, device, stream, grid, block,
    registers, shared_memory, bytes of a copy or fill, and graph, the captured graph that it is part of (0: none)."""

    def __init__(self, fields):
        self.time_range = Interval(fields.pop("start"), fields.pop("end"))
        self.__dict__.update(fields)

    @property
    def duration(self):
        """Microseconds."""
        return self.time_range.elapsed_us()

    def __repr__(self):
        return f"<Kernel name={self.name} duration={self.duration:.3f}us>"


class FunctionEvent:
    """One run of an op, backward function, module, optimizer's step or range on one CPU thread.

    name, kind ("op", "backward", "module", "optimizer", "user", "data"), time_range, thread, module (its path),
    input_shapes, device and dtype of what it computed, flops, bytes, kernels; cpu_parent and cpu_children are the scopes around it and within, forward is the op
    whose derivative a backward function is.
    """

    def __init__(self, number, fields, kernels):
        self.id = number
        self.time_range = Interval(fields.pop("start"), fields.pop("end"))
        self._parent, self._forward = fields.pop("parent"), fields.pop("forward")
        self.kernels = [kernels[position] for position in fields.pop("device_events")]
        self.__dict__.update(fields)
        self.cpu_parent = self.forward = None
        self.cpu_children = []

    @property
    def key(self):
        """The same as name."""
        return self.name

    @property
    def cpu_time_total(self):
        """Microseconds on the CPU, with what is within."""
        return self.time_range.elapsed_us()

    @property
    def self_cpu_time_total(self):
        """Microseconds on the CPU, without what is within."""
        return self.cpu_time_total - sum(child.cpu_time_total for child in self.cpu_children)

    @property
    def self_device_time_total(self):
        """Microseconds of the kernels and copies that it launched itself."""
        return sum(kernel.duration for kernel in self.kernels)

    @cached_property
    def device_time_total(self):
        """Microseconds of its kernels and copies, with what is within."""
        return self.self_device_time_total + sum(child.device_time_total for child in self.cpu_children)

    @property
    def cuda_time_total(self):
        """The same as device_time_total."""
        return self.device_time_total

    self_cuda_time_total = self_device_time_total

    def __repr__(self):
        return f"<FunctionEvent name={self.name} kind={self.kind} cpu_time={self.cpu_time_total:.3f}us>"


def _events_of(trace):
    kernels = [Kernel(fields) for fields in trace._device_events()]
    events = [FunctionEvent(number, fields, kernels) for number, fields in enumerate(trace._events())]
    for event in events:
        if event._parent >= 0:
            event.cpu_parent = events[event._parent]
            event.cpu_parent.cpu_children.append(event)
        if event._forward >= 0:
            event.forward = events[event._forward]
    return events


# Profiles -----------------------------------------------------------------------------------------------------------------


class profile:
    """Records what all threads do, between start() and stop() or in a `with` block. One profile runs at a time.

    activities: ProfilerActivity members, by default all there are. Without CUPTI, or where the driver does not let it
    profile, kernels are missing, and a warning says why.
    schedule: what each step is for, see schedule(); then step() must be called after each. on_trace_ready(prof) is called at
    the end of each cycle, and the profile then holds that cycle.
    record_shapes: keep the shapes of inputs. profile_memory: keep each allocation. with_flops: count floating-point
    operations and bytes. with_modules: modules are scopes, too.
    """

    def __init__(
        self, *, activities=None, schedule=None, on_trace_ready=None, record_shapes=False, profile_memory=False,
        with_stack=False, with_flops=True, with_modules=True,
    ):
        if with_stack:
            raise _C.NotImplementedError("profile: with_stack is not supported; with_modules tells where in the model an op was called")
        chosen = set(ProfilerActivity) if activities is None else set(activities)
        for activity in chosen:
            if not isinstance(activity, ProfilerActivity):
                raise TypeError(f"profile: activities must be members of ProfilerActivity; got {activity!r}")
        itself = weakref.ref(self)

        def finish_cycle():
            if on_trace_ready is not None and itself() is not None:
                on_trace_ready(itself())

        self._profile = _profiler.Profile(
            cpu=ProfilerActivity.CPU in chosen, cuda=ProfilerActivity.CUDA in chosen, schedule=_numbered(schedule),
            on_trace_ready=finish_cycle, record_shapes=record_shapes, profile_memory=profile_memory, with_flops=with_flops,
            with_modules=with_modules,
        )
        self._watches_modules = with_modules and ProfilerActivity.CPU in chosen

    def start(self):
        """Begins. ValueError while this or another profile runs."""
        self._profile.start()
        if self._watches_modules:
            _watch_modules(+1)

    def stop(self):
        """Waits for the GPUs and makes the trace. ValueError unless this profile runs."""
        was_running = self._profile.is_running
        try:
            self._profile.stop()
        finally:
            if was_running and self._watches_modules:
                _watch_modules(-1)
        self._warn()

    def step(self):
        """The next step of the schedule begins."""
        self._profile.step()

    @property
    def step_num(self):
        """The number of the step that runs, from 0."""
        return self._profile.step_number

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *failure):
        self.stop()

    def __del__(self):
        if "_profile" in self.__dict__ and self._profile.is_running and self._watches_modules:
            _watch_modules(-1)

    def _warn(self):
        try:
            trace = self._trace
        except _C.ValueError:
            return  # a schedule that has not come to a step that records
        for text in trace.warnings:
            warnings.warn(text, UserWarning, stacklevel=3)

    @property
    def _trace(self):
        return self._profile.trace()

    def key_averages(self, group_by_input_shape=False, group_by="op"):
        """Sums by "op", "module" or "kernel": a sequence of FunctionEventAvg with a method table().

        With group_by_input_shape, calls with inputs of other shapes have rows of their own; record_shapes must be on.
        """
        return self._trace.key_averages(group_by_input_shape, group_by)

    def events(self):
        """Every FunctionEvent: of each thread in the order of their starts, what is around before what is within."""
        return _events_of(self._trace)

    def kernels(self):
        """Every Kernel, in the order of their starts."""
        return [Kernel(fields) for fields in self._trace._device_events()]

    def memory_events(self):
        """Every allocation and release, as dicts: time, device, address, bytes (negative: released), allocated, event."""
        return self._trace._memory_events()

    def memory_peak(self, device="cpu"):
        """When most memory of a device was allocated, and what held it: {"time", "bytes", "holders"}.

        ValueError unless memory was profiled (profile_memory=True).
        """
        return self._trace.memory_peak(_C.device(device))

    def export_chrome_trace(self, path):
        """Writes a file for chrome://tracing and ui.perfetto.dev; with ".gz" at its end a compressed one."""
        self._trace.export_chrome_trace(str(path))

    def export_memory_timeline(self, path):
        """Writes each change of memory as CSV, or as JSON for a path that ends in ".json"; profile_memory must be on."""
        self._trace.export_memory_timeline(str(path))
