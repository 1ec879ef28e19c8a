"""What calls cost, what they may cost, and answers that are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Union

from . import _requests
from ._calls import _ai
from ._requests import Messages


class Estimate(NamedTuple):
    """What a call may come to, before it is made."""

    input_tokens: int
    output_tokens: int
    cost: float | None  # US dollars; None: the price is not known


class Prices:
    """A table of prices that you supply: a file, JSON text, or the same as Python values.

    {"date": "2026-11-01", "unit": "per_million_tokens", "prices": [
      {"provider": "openai", "model": "gpt-5-mini*", "input": 0.25, "output": 2, "cached_input": 0.025}]}
    """

    def __init__(self, table: str | Mapping[str, Any]) -> None:
        text = table if isinstance(table, str) else json.dumps(table)
        self._handle = _ai.PriceTable.from_json(text)

    @classmethod
    def from_file(cls, path: str) -> Prices:
        """The table of a JSON file."""
        prices = cls.__new__(cls)
        prices._handle = _ai.PriceTable.from_file(path)
        return prices

    @property
    def date(self) -> str:
        """The day of the prices, as the table tells it."""
        return self._handle.date

    def __len__(self) -> int:
        return len(self._handle)

    def estimate(self, provider: str, messages: Messages, **options: Any) -> Estimate:
        """What a chat may come to; options are those of Backend.chat."""
        return Estimate(*self._handle.estimate(provider, _requests.chat_text(messages, options)))


class Limit(NamedTuple):
    """Of money, in US dollars, and of tokens; None: no limit."""

    dollars: float | None = None
    tokens: int | None = None


_LimitLike = Union[Limit, "tuple[float | None, int | None]"]


@dataclass(frozen=True)
class Spending:
    """What was spent, and what calls under way hold."""

    dollars: float
    tokens: int
    reserved_dollars: float  # held by calls under way
    reserved_tokens: int
    calls: int
    calls_of_unknown_cost: int


class Budget:
    """Limits for the run, by provider and by task. What a call may come to is set aside before it is made; a call that
    would pass a limit is a ProviderError, budget_exceeded."""

    def __init__(
        self,
        dollars: float | None = None,
        tokens: int | None = None,
        *,
        providers: Mapping[str, _LimitLike] | None = None,
        tasks: Mapping[str, _LimitLike] | None = None,
    ) -> None:
        self._handle = _ai.Budget(
            (dollars, tokens),
            {name: (limit[0], limit[1]) for name, limit in (providers or {}).items()},
            {name: (limit[0], limit[1]) for name, limit in (tasks or {}).items()},
        )

    def spent(self, *, provider: str | None = None, task: str | None = None) -> Spending:
        """What was spent: of everything, by one provider, or for one task."""
        if provider is not None and task is not None:
            raise TypeError("spent: expected a provider or a task, not both")
        if provider is not None:
            return Spending(**self._handle.spent_by_provider(provider))
        if task is not None:
            return Spending(**self._handle.spent_by_task(task))
        return Spending(**self._handle.spent())


class Cache:
    """Answers that are kept in an SQLite file: the same request again costs nothing."""

    def __init__(
        self,
        path: str,
        *,
        max_bytes: int = 256 << 20,
        max_age: float | None = None,
        rebuild_if_broken: bool = False,
    ) -> None:
        self._handle = _ai.ResponseCache(path, max_bytes, max_age, rebuild_if_broken)

    def clear(self) -> None:
        """Forgets all answers."""
        self._handle.clear()

    def statistics(self) -> dict[str, int]:
        """entries, bytes, hits and misses."""
        return self._handle.statistics()


class CallLog:
    """A file of JSON lines with the usage and the cost of every call; `python -m taut.ai cost FILE` sums it up.
    Prompts and answers are in it only with include_texts=True."""

    def __init__(self, path: str, *, include_texts: bool = False) -> None:
        self._handle = _ai.CallLog(path, include_texts)
