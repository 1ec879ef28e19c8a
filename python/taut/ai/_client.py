"""The client of all providers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._accounts import Budget, Cache, CallLog, Prices
from ._backends import Provider
from ._calls import _ai
from ._config import ProviderConfig

if TYPE_CHECKING:
    from typing_extensions import Self


class Client:
    """Owns the connections, and one thread that serves all of them. Safe from many threads. Lives as long as anything that
    was made with it.

    Times are in seconds: `timeout` is for a whole call that sets no deadline; `idle_timeout` for the silence between two
    events of a stream. prices, budget, cache and log serve every provider of this client. `trace` is called with each line
    of what happens on the connections, without keys and bodies, on the client's own thread: it must not wait for a call.
    """

    def __init__(
        self,
        *,
        max_retries: int = 2,
        max_retry_after: float = 60.0,
        timeout: float | None = None,
        connect_timeout: float = 5.0,
        first_byte_timeout: float = 60.0,
        whole_answer_timeout: float = 600.0,
        idle_timeout: float = 60.0,
        keep_alive_timeout: float = 300.0,
        max_answer_bytes: int | None = None,
        max_stream_bytes: int | None = None,
        max_connections: int = 64,
        max_connections_per_host: int = 16,
        proxy: str | None = None,
        ca_file: str | None = None,
        seed: int | None = None,
        trace: Callable[[str], object] | None = None,
        prices: Prices | None = None,
        budget: Budget | None = None,
        cache: Cache | None = None,
        log: CallLog | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "max_retries": max_retries,
            "max_retry_after": max_retry_after,
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "first_byte_timeout": first_byte_timeout,
            "whole_answer_timeout": whole_answer_timeout,
            "idle_timeout": idle_timeout,
            "keep_alive_timeout": keep_alive_timeout,
            "max_answer_bytes": max_answer_bytes,
            "max_stream_bytes": max_stream_bytes,
            "max_connections": max_connections,
            "max_connections_per_host": max_connections_per_host,
            "proxy": proxy,
            "ca_file": ca_file,
            "seed": seed,
            "trace": trace,
        }
        self._handle = _ai.Client({name: value for name, value in options.items() if value is not None})
        self._prices = prices
        self._budget = budget
        self._cache = cache
        self._log = log

    def provider(self, config: ProviderConfig, *, model: str = "", record: str | None = None) -> Provider:
        """A provider; `model` is asked for where a call names none, `record` a file that calls are written to."""
        handle = self._handle.provider(config._handle)
        backend = handle.backend()
        if record is not None:
            backend = _ai.recorded(backend, record)
        if self._cache is not None:
            backend = _ai.cached(backend, self._cache._handle)
        if self._prices is not None or self._budget is not None or self._log is not None:
            backend = _ai.metered(
                backend,
                None if self._prices is None else self._prices._handle,
                None if self._budget is None else self._budget._handle,
                None if self._log is None else self._log._handle,
            )
        return Provider(handle, backend, model, self)

    def statistics(self) -> dict[str, int]:
        """Calls, attempts, retries, connections and bytes so far."""
        return self._handle.statistics()

    def close(self) -> None:
        """Cancels every call and waits until all have ended."""
        if not self._handle.is_closed:
            self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<taut.ai.Client{' (closed)' if self._handle.is_closed else ''}>"
