"""Seeds and states of the default generator."""

from . import _C
from ._C import Generator, default_generator

__all__ = ["Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


def manual_seed(seed):
    """Seeds the default generator and returns it."""
    return default_generator.manual_seed(int(seed))


def seed():
    """Seeds the default generator from the system's entropy and returns the seed."""
    return default_generator.seed()


def initial_seed():
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state():
    """Where the default generator stands, as a tensor."""
    return default_generator.get_state()


def set_rng_state(new_state):
    """Goes on where get_rng_state was called."""
    default_generator.set_state(new_state)


class fork_rng:
    """Within a `with`, random numbers may be drawn and seeds set; afterwards the stream goes on as if not."""

    def __init__(self, devices=None, enabled=True):
        self._enabled = enabled

    def __enter__(self):
        self._state = get_rng_state()

    def __exit__(self, *_):
        if self._enabled:
            set_rng_state(self._state)
