"""Waiting for calls that go on in threads of C++."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

try:
    from .. import _ai as _ai
except ImportError as missing:
    raise ImportError(
        "taut.ai: this build of Taut has no AI clients; it needs libcurl 7.85 or newer and SQLite when it is built"
    ) from missing

# Python looks for signals (Ctrl-C) between two waits; a call that is done ends its wait at once.
_SLICE = 0.1


def _leave() -> None:
    """At the end of the interpreter threads of C++ no longer come in. Those that are inside, running a function of
    Python's, are waited for, as threads of Python's own are."""
    while not _ai.leave(_SLICE):
        pass


atexit.register(_leave)


def wait(call: _ai.Call) -> Any:
    """The result. Whatever interrupts the wait cancels the call."""
    try:
        while not call.wait(_SLICE):
            pass
    except BaseException:
        call.cancel()
        raise
    return call.result()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def await_call(call: _ai.Call) -> Any:
    """The same in an event loop, which goes on meanwhile."""
    import asyncio  # 7 MB and a tenth of a second, which those who wait do without

    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def done() -> None:
        try:
            loop.call_soon_threadsafe(_set, future)
        except RuntimeError:  # the loop was closed: nobody waits any more
            pass

    call.on_done(done)
    try:
        await future
    except asyncio.CancelledError:
        call.cancel()
        raise
    return call.result()
