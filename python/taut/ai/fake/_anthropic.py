"""Anthropic's messages, models and batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ._answers import Question, Reply
from ._server import Answered, Dialect, Request, json_answer, sse, stream_answer

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for block in content or []:
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "tool_result":
            texts.append(_text(block.get("content")))
    return "".join(texts)


class Anthropic(Dialect):
    name = "anthropic"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._batches: dict[str, dict[str, Any]] = {}

    def respond(self, request: Request) -> Answered:
        if "anthropic-version" not in request.headers:
            return self.error(400, "anthropic-version: header is required")
        parts = request.path.strip("/").split("/")
        if request.method == "POST" and parts == ["v1", "messages"]:
            return self.messages(request.json(), request.headers["anthropic-version"])
        if request.method == "GET" and parts == ["v1", "models"]:
            return self.model_list(request)
        if parts[:3] == ["v1", "messages", "batches"]:
            return self.batch(request, parts[3:])
        return self.not_found(request)

    # ---- Messages

    def question_of(self, body: dict[str, Any]) -> Question:
        last = body["messages"][-1]
        content = last["content"]
        is_result = isinstance(content, list) and any(block["type"] == "tool_result" for block in content)
        choice = body.get("tool_choice") or {}
        kind = choice.get("type", "")
        form = (body.get("output_config") or {}).get("format") or {}
        return Question(
            model=body["model"],
            text=_text(content),
            role="tool" if is_result else last["role"],
            system=_text(body.get("system")),
            tools=[{"name": tool["name"], "parameters": tool["input_schema"]} for tool in body.get("tools", [])],
            tool_choice={"any": "required", "tool": choice.get("name", "")}.get(kind, kind),
            schema=form.get("schema"),
            max_tokens=body["max_tokens"],
            is_stream=bool(body.get("stream")),
            prompt=_text(body.get("system")) + "".join(_text(message["content"]) for message in body["messages"]),
        )

    def messages(self, body: dict[str, Any], version: str) -> Answered:
        if version >= "2026-10-21":
            for name in ("temperature", "top_p", "top_k"):
                if name in body:
                    return self.error(400, f"{name}: Extra inputs are not permitted")
        question = self.question_of(body)
        if question.model not in self.models:
            return self.error(404, f"model: {question.model}")
        reply = self.reply(question)
        whole = self.message(question, reply)
        headers = {"request-id": f"req_fake_{self.number()}"}
        if question.is_stream:
            return stream_answer(self.frames(whole, reply), headers)
        return json_answer(whole, headers=headers)

    def blocks(self, reply: Reply) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        if reply.reasoning:
            blocks.append({"type": "thinking", "thinking": reply.reasoning, "signature": "fake-signature"})
        if reply.text:
            blocks.append({"type": "text", "text": reply.text, "citations": None})
        for index, (name, arguments) in enumerate(reply.tool_calls):
            blocks.append({"type": "tool_use", "id": f"toolu_fake_{index}", "name": name, "input": arguments})
        return blocks

    def usage(self, reply: Reply) -> dict[str, Any]:
        return {
            "input_tokens": reply.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": reply.output_tokens,
            "output_tokens_details": {"thinking_tokens": reply.reasoning_tokens},
        }

    def message(self, question: Question, reply: Reply) -> dict[str, Any]:
        reason = "max_tokens" if reply.is_cut else "end_turn"
        return {
            "id": f"msg_fake_{self.number()}",
            "type": "message",
            "role": "assistant",
            "model": question.model,
            "content": self.blocks(reply),
            "stop_reason": "tool_use" if reply.tool_calls else reason,
            "stop_sequence": None,
            "usage": self.usage(reply),
        }

    def frames(self, whole: dict[str, Any], reply: Reply) -> Iterator[bytes]:
        def frame(event: dict[str, Any]) -> bytes:
            # The vendor pads its events with spaces.
            return sse(json.dumps(event) + "   ", event["type"])

        usage = {**self.usage(reply), "output_tokens": 1}
        head = {**whole, "content": [], "stop_reason": None, "usage": usage}
        yield frame({"type": "message_start", "message": head})
        yield frame({"type": "ping"})
        for index, block in enumerate(whole["content"]):
            yield from map(frame, self._block_events(index, block, reply))
        delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        yield frame({"type": "message_delta", "delta": delta, "usage": self.usage(reply)})
        yield frame({"type": "message_stop"})

    def _block_events(self, index: int, block: dict[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
        def delta(kind: str, name: str, value: str) -> dict[str, Any]:
            return {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: value}}

        empty = {
            "text": {"type": "text", "text": ""},
            "thinking": {"type": "thinking", "thinking": "", "signature": ""},
            "tool_use": {**block, "input": {}},
        }[block["type"]]
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        if block["type"] == "text":
            for piece in reply.pieces():
                yield delta("text_delta", "text", piece)
        elif block["type"] == "thinking":
            yield delta("thinking_delta", "thinking", block["thinking"])
            yield delta("signature_delta", "signature", block["signature"])
        else:
            text = json.dumps(block["input"])
            for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
                yield delta("input_json_delta", "partial_json", piece)
        yield {"type": "content_block_stop", "index": index}

    # ---- Models and batches

    def model_list(self, request: Request) -> Answered:
        """One model a page, so that paging is tried."""
        after = request.query.get("after_id", [""])[0]
        start = self.models.index(after) + 1 if after in self.models else 0
        page = self.models[start : start + 1]
        data = [
            {
                "id": model,
                "type": "model",
                "display_name": model,
                "created_at": "2026-09-21T00:00:00Z",
                "max_input_tokens": 4096,
                "max_tokens": 1024,
            }
            for model in page
        ]
        return json_answer(
            {
                "data": data,
                "has_more": start + 1 < len(self.models),
                "first_id": page[0] if page else None,
                "last_id": page[-1] if page else None,
            }
        )

    def batch(self, request: Request, parts: list[str]) -> Answered:
        with self._lock:
            known = self._batches.get(parts[0]) if parts else None
        if request.method == "POST" and not parts:
            name = f"msgbatch_fake_{self.number()}"
            requests = request.json()["requests"]
            with self._lock:
                self._batches[name] = {"status": "in_progress", "requests": requests, "looks": 0}
            return json_answer(self._batch_value(name))
        if known is None:
            return self.not_found(request)
        if request.method == "POST" and parts[1:] == ["cancel"]:
            known["status"] = "canceling"
        elif parts[1:] == ["results"]:
            return Answered(200, self._results(known), {}, "application/x-jsonl")
        elif request.method == "GET":
            # A batch is done when it is looked at for the second time.
            known["looks"] += 1
            if known["looks"] >= 2 or known["status"] == "canceling":
                known["status"] = "ended"
        return json_answer(self._batch_value(parts[0], request))

    def _batch_value(self, name: str, request: Request | None = None) -> dict[str, Any]:
        batch = self._batches[name]
        total = len(batch["requests"])
        is_over = batch["status"] == "ended"
        host = "" if request is None else request.headers.get("host", "")
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": batch["status"],
            "request_counts": {
                "processing": 0 if is_over else total,
                "succeeded": total if is_over else 0,
                "errored": 0,
                "canceled": 0,
                "expired": 0,
            },
            "results_url": f"http://{host}/v1/messages/batches/{name}/results" if is_over else None,
        }

    def _results(self, batch: dict[str, Any]) -> bytes:
        lines = []
        for item in reversed(batch["requests"]):
            question = self.question_of(item["params"])
            message = self.message(question, self.reply(question))
            lines.append(json.dumps({"custom_id": item["custom_id"], "result": {"type": "succeeded", "message": message}}))
        return ("\n".join(lines) + "\n").encode()

    # ---- Errors

    def error(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Answered:
        request_id = f"req_fake_{self.number()}"
        error = {"type": _KINDS.get(status, "api_error"), "message": message}
        value = {"type": "error", "error": error, "request_id": request_id}
        return json_answer(value, status, {"request-id": request_id, **(headers or {})})

    def error_frame(self) -> bytes:
        return sse({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error")

    def quota_error(self) -> Answered:
        details = {"error_code": "contract_spend_limit_reached"}
        error = {"type": "rate_limit_error", "message": "the spend limit is reached", "details": details}
        return json_answer({"type": "error", "error": error, "request_id": "req_fake"}, 429)

    def context_error(self) -> Answered:
        return self.error(400, "prompt is too long: 20 tokens > 10 maximum")
