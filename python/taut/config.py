"""What this build of Taut is and which of its optional parts are there."""

from . import _C


def show():
    """A page of text on how this Taut was built."""
    lines = [f"Taut {_C._version}"]
    lines += [f"  {name:<8} {'yes' if present else 'no'}" for name, present in _C._features.items()]
    return "\n".join(lines)


def parallel_info():
    return f"threads {_C.get_num_threads()}"
