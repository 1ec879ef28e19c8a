"""xAI's batches: made of OpenAI's files, told by counts, with results in pages. One is done when it is looked at for the
second time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ._openai_batches import BatchStore
from ._server import Answered, Request, json_answer

if TYPE_CHECKING:
    from ._openai import OpenAI

PAGE = 2  # results, however many are asked for: clients have to read on


class XaiBatchStore(BatchStore):
    def _batch(self, dialect: OpenAI, request: Request, parts: list[str]) -> Answered:
        if request.method == "POST" and len(parts) == 1:
            return json_answer(self._create(request.json()))
        name, _, action = (parts[1] if len(parts) > 1 else "").partition(":")
        batch = self._batches.get(name)
        if batch is None:
            return dialect.not_found(request)
        if request.method == "POST" and action == "cancel":
            self._cancel(batch)
            return json_answer(self._told(batch))
        if request.method == "GET" and len(parts) == 2:
            self._advance(dialect, batch)
            return json_answer(self._told(batch))
        if request.method == "GET" and parts[2:] == ["results"]:
            return json_answer(self._page(batch, request.query.get("pagination_token", ["0"])[0]))
        return dialect.not_found(request)

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        lines = [json.loads(line) for line in self._files[body["input_file_id"]].splitlines()]
        name = f"batch_fake_{len(self._batches) + 1}"
        self._batches[name] = {
            "batch_id": name,
            "name": body["name"],
            "input_file_id": body["input_file_id"],
            "create_time": "2026-11-01T10:00:00Z",
            "cancel_time": None,
            "cancel_by_xai_message": None,
            # The file is read later.
            "state": dict.fromkeys(("num_requests", "num_pending", "num_success", "num_error", "num_cancelled"), 0),
            "lines": lines,
            "results": [],
        }
        return self._told(self._batches[name])

    @staticmethod
    def _told(batch: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in batch.items() if key not in ("lines", "results")}

    @staticmethod
    def _cancel(batch: dict[str, Any]) -> None:
        state = batch["state"]
        batch["cancel_time"] = "2026-11-01T10:01:00Z"
        state["num_cancelled"] += state["num_pending"]
        state["num_pending"] = 0

    def _advance(self, dialect: OpenAI, batch: dict[str, Any]) -> None:
        state = batch["state"]
        if batch["cancel_time"] is not None:
            return
        if state["num_requests"] == 0:
            state.update(num_requests=len(batch["lines"]), num_pending=len(batch["lines"]))
            return
        # Results come in any order.
        for line in batch["lines"][::-1] if state["num_pending"] else []:
            answered = dialect.chat(line["body"])
            assert isinstance(answered.body, bytes)
            value = json.loads(answered.body)
            result: dict[str, Any] = {"response": {"chat_get_completion": value}}
            if answered.status != 200:
                result = {"error": {"code": 3, "message": value["error"]}}
            state["num_success" if answered.status == 200 else "num_error"] += 1
            state["num_pending"] -= 1
            batch["results"].append({"batch_request_id": line["custom_id"], "batch_result": result})

    @staticmethod
    def _page(batch: dict[str, Any], token: str) -> dict[str, Any]:
        begin = int(token)
        page: dict[str, Any] = {"results": batch["results"][begin : begin + PAGE]}
        if begin + PAGE < len(batch["results"]):
            page["pagination_token"] = str(begin + PAGE)
        return page
