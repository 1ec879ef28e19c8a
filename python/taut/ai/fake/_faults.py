"""What a fake server does wrong, and how often."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from ... import ValueError as TautValueError

STATUSES = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)

# Faults that are no status, and what each does.
FAULTS = {
    "quota": "refuses because there is no money left",
    "context": "refuses because the request is too long",
    "html": "answers 502 with a page of a proxy",
    "garbage": "answers 200 with text that is no JSON",
    "empty": "answers 200 with nothing",
    "disconnect": "closes the connection without an answer",
    "truncate": "stops in the middle of an answer",
    "stall": "falls silent in the middle of an answer, for SECONDS (60)",
    "slow": "waits for SECONDS (0.2) before each piece of an answer",
    "error-frame": "reports an error in the middle of a stream",
}


@dataclass
class Fault:
    """NAME[:COUNT[:SECONDS]]: a status or a name of FAULTS, how many requests it strikes (all, where it is not said), and
    a time: the Retry-After of a status, the delay of stall and slow."""

    name: str
    count: int | None = None
    seconds: float | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status, where it is one."""
        return int(self.name) if self.name.isdigit() else None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """A fault as the command line writes it. Raises taut.ValueError for other text."""
        name, _, rest = text.partition(":")
        count, _, seconds = rest.partition(":")
        known = name in FAULTS or (name.isdigit() and int(name) in STATUSES)
        try:
            if not known:
                raise KeyError
            return cls(name, int(count) if count else None, float(seconds) if seconds else None)
        except (KeyError, ValueError):
            names = ", ".join([*map(str, STATUSES), *FAULTS])
            raise TautValueError(f"fault: got '{text}'; expected NAME[:COUNT[:SECONDS]] with a name of {names}") from None


class FaultPlan:
    """Faults one after the other: each strikes as often as it says, and then the next. Safe from many threads."""

    def __init__(self, faults: Iterable[str | Fault]) -> None:
        self._left = [Fault.parse(fault) if isinstance(fault, str) else fault for fault in faults]
        self._lock = threading.Lock()

    def next(self) -> Fault | None:
        with self._lock:
            while self._left and self._left[0].count == 0:
                self._left.pop(0)
            if not self._left:
                return None
            fault = self._left[0]
            if fault.count is not None:
                self._left[0] = Fault(fault.name, fault.count - 1, fault.seconds)
            return fault
