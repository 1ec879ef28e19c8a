"""Learning rates that change from step to step.

    schedule = OneCycleLR(optimizer, max_lr=1e-2, total_steps=epochs * len(loader))

A schedule sets the first rate when it is made; call `step()` after each `optimizer.step()`, or after each epoch.
"""

from .._C._optim import _lr_scheduler

globals().update({name: item for name, item in vars(_lr_scheduler).items() if not name.startswith("_")})
__all__ = sorted(name for name in vars(_lr_scheduler) if not name.startswith("_"))
for _name in __all__:
    getattr(_lr_scheduler, _name).__module__ = __name__

_construct = _lr_scheduler.LRScheduler.__init__


def _init(self, optimizer, last_epoch=-1):
    """What a schedule written in Python calls at the end of its own __init__: it sets the rates of the start."""
    if last_epoch != -1:
        raise NotImplementedError("LRScheduler: last_epoch is -1 here; load_state_dict goes on with an earlier run")
    _construct(self, optimizer)
    self._start()


_init.__name__ = "__init__"
_lr_scheduler.LRScheduler.__init__ = _init
