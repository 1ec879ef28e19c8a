"""What this build of Taut is and which of its optional parts are there."""

from . import _C

__all__ = ["features", "parallel_info", "show"]


def show():
    """A page of text: version, compiler and flags, the libraries it was built with and their versions, the instruction set in
    use, threads and GPUs, and how the Python module was built. To be printed, and added to reports of faults."""
    import platform

    python = f"  {'Python':<14}{platform.python_version()} ({platform.python_implementation()}), pybind11 {_C._pybind11_version}"
    return f"{_C._show_config()}\n{python}"


def features():
    """Which optional parts are in this build, by name: {"CUDA": False, ...}."""
    return dict(_C._features)


def parallel_info():
    """How many threads the ops use, as text."""
    return f"threads {_C.get_num_threads()}"
