"""`python -m taut.ai cost LOG`: what a log of calls sums up to."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from .. import FormatError
from ._accounts import Prices


@dataclass
class Sum:
    calls: int = 0
    failures: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0
    unknown_cost: int = 0  # calls that were answered, and whose cost nobody knows

    def add(self, line: dict[str, Any], cost: float | None) -> None:
        self.calls += 1
        if line["status"] != "ok":
            self.failures += 1
            return
        if line.get("from_cache"):
            self.cached += 1
            return
        usage = line.get("usage", {})
        self.input_tokens += usage.get("input_total") or 0
        self.output_tokens += usage.get("output_total") or 0
        if cost is None:
            self.unknown_cost += 1
        else:
            self.dollars += cost


def lines_of(path: str) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
                if not isinstance(line, dict) or not {"time", "provider", "model", "status"} <= line.keys():
                    raise ValueError("it is no line of a call log")
            except ValueError as error:
                raise FormatError(f"{path}:{number}: {error}") from None
            yield line


def group_of(line: dict[str, Any], by: str) -> str:
    if by == "day":
        return str(line["time"])[:10]
    if by == "model":
        return f"{line['provider']}/{line['model']}"
    return str(line.get(by) or "-")


def summed(path: str, by: str, prices: Prices | None) -> dict[str, Sum]:
    sums: dict[str, Sum] = {}
    for line in lines_of(path):
        cost = line.get("cost")
        if cost is None and prices is not None and line["status"] == "ok":
            cost = prices._handle.cost(line["provider"], line["model"], json.dumps(line.get("usage", {})))
        sums.setdefault(group_of(line, by), Sum()).add(line, cost)
    return dict(sorted(sums.items(), key=lambda item: (-item[1].dollars, item[0])))


def table(sums: dict[str, Sum], by: str) -> str:
    whole = Sum()
    for part in sums.values():
        for name, value in asdict(part).items():
            setattr(whole, name, getattr(whole, name) + value)
    rows: list[tuple[str, ...]] = [(by, "calls", "failed", "cached", "tokens in", "tokens out", "US$", "cost unknown")]
    for name, part in [*sums.items(), ("all", whole)]:
        numbers = (part.calls, part.failures, part.cached, part.input_tokens, part.output_tokens)
        rows.append((name, *map(str, numbers), f"{part.dollars:.6f}", str(part.unknown_cost)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    )


def run(arguments: argparse.Namespace) -> int:
    prices = Prices.from_file(arguments.prices) if arguments.prices else None
    sums = summed(arguments.log, arguments.by, prices)
    if arguments.json:
        print(json.dumps({name: asdict(part) for name, part in sums.items()}, indent=2))
    else:
        print(table(sums, arguments.by))
    return 0
