"""Several backends as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import _responses
from ._accounts import Budget, Cache, Prices
from ._backends import Backend
from ._calls import _ai
from ._types import RouteReport


@dataclass
class Target:
    """A backend of a router. Those of a higher order are asked only when none of a lower one is left."""

    backend: Backend
    model: str = ""  # asked for instead of the request's
    name: str = ""  # in reports
    order: int = 0
    weight: float = 1.0
    is_enabled: bool = True
    context_window: int | None = None  # tokens
    tasks: Sequence[str] = field(default_factory=list)  # that it is for; empty: all
    max_concurrent: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def _options(self) -> dict[str, Any]:
        return {
            "backend": self.backend._handle,
            "model": self.model or self.backend.model,
            "name": self.name,
            "order": self.order,
            "weight": self.weight,
            "is_enabled": self.is_enabled,
            "context_window": self.context_window,
            "tasks": list(self.tasks),
            "max_concurrent": self.max_concurrent,
            "requests_per_minute": self.requests_per_minute,
            "tokens_per_minute": self.tokens_per_minute,
        }


@dataclass(frozen=True)
class TargetStatus:
    """What a router knows of one of its targets."""

    name: str
    is_open: bool  # whether its circuit keeps calls away
    seconds_until_probe: float
    in_flight: int
    calls: int
    failures: int
    latency: float | None  # seconds


class Router(Backend):
    """Whoever is fit, healthy and within budget answers, and another one where that fails.

    `strategy` is priority, weighted, least_inflight, lowest_latency or lowest_cost. `hedge_after` asks a second target
    when the first has not answered after so many seconds. `last_resort` answers where nobody else is left: taut.ai.local
    makes one of a function. `response.route` and `last_report` tell who was considered, and why each was taken or not.
    """

    def __init__(
        self,
        targets: Sequence[Target | Backend],
        *,
        name: str = "router",
        strategy: str = "priority",
        seed: int | None = None,
        deadline: float | None = None,
        max_targets: int = 8,
        hedge_after: float | None = None,
        allow_desperate: bool = False,
        fallback_on_content_policy: bool = False,
        restart_streams: bool = False,
        prices: Prices | None = None,
        budget: Budget | None = None,
        cache: Cache | None = None,
        last_resort: Backend | None = None,
        model: str = "default",
    ) -> None:
        options: dict[str, Any] = {
            "name": name,
            "strategy": strategy,
            "seed": seed,
            "deadline": deadline,
            "max_targets": max_targets,
            "hedge_after": hedge_after,
            "allow_desperate": allow_desperate,
            "fallback_on_content_policy": fallback_on_content_policy,
            "restart_streams": restart_streams,
            "prices": None if prices is None else prices._handle,
            "budget": None if budget is None else budget._handle,
            "cache": None if cache is None else cache._handle,
            "last_resort": None if last_resort is None else last_resort._handle,
        }
        made = [target if isinstance(target, Target) else Target(target) for target in targets]
        self._router = _ai.Router(
            [target._options() for target in made],
            {key: value for key, value in options.items() if value is not None},
        )
        super().__init__(self._router.backend(), model, (made, last_resort))

    def targets(self) -> list[TargetStatus]:
        """What is known of each target now."""
        return [TargetStatus(**status) for status in self._router.targets()]

    @property
    def last_report(self) -> RouteReport:
        """Of the call that ended last."""
        return _responses.report(self._router.last_report())

    def reset(self, target: str) -> None:
        """Lets calls through to a target again: its key or its quota was renewed."""
        self._router.reset(target)
