"""OpenAI's responses, whole and as streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._answers import Question, Reply
from ._server import Answered, json_answer, sse, stream_answer

if TYPE_CHECKING:
    from ._openai import OpenAI


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [])


def question_of(body: dict[str, Any]) -> Question:
    items = body["input"]
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    last = items[-1]
    is_result = last.get("type") == "function_call_output"
    form = (body.get("text") or {}).get("format") or {}
    choice = body.get("tool_choice", "")
    schema = None
    if form.get("type") in ("json_schema", "json_object"):
        schema = form.get("schema", {})
    return Question(
        model=body["model"],
        text=_text(last["output"] if is_result else last.get("content")),
        role="tool" if is_result else last.get("role", "user"),
        system=body.get("instructions") or "",
        tools=body.get("tools", []),
        tool_choice=choice["name"] if isinstance(choice, dict) else choice,
        schema=schema,
        max_tokens=body.get("max_output_tokens"),
        is_stream=bool(body.get("stream")),
        prompt=(body.get("instructions") or "") + "".join(_text(item.get("content")) for item in items),
    )


def _output(reply: Reply) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if reply.reasoning:
        summary = [{"type": "summary_text", "text": reply.reasoning}]
        items.append({"type": "reasoning", "id": "rs_fake", "summary": summary})
    for index, (name, arguments) in enumerate(reply.tool_calls):
        items.append(
            {
                "type": "function_call",
                "id": f"fc_fake_{index}",
                "call_id": f"call_fake_{index}",
                "name": name,
                "arguments": json.dumps(arguments),
                "status": "completed",
            }
        )
    if not reply.tool_calls:
        content = [{"type": "output_text", "text": reply.text, "annotations": []}]
        items.append(
            {"type": "message", "id": "msg_fake", "role": "assistant", "status": "completed", "content": content}
        )
    return items


def _whole(number: int, question: Question, reply: Reply) -> dict[str, Any]:
    return {
        "id": f"resp_fake_{number}",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "incomplete" if reply.is_cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if reply.is_cut else None,
        "model": question.model,
        "output": _output(reply),
        "usage": {
            "input_tokens": reply.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": reply.output_tokens,
            "output_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
            "total_tokens": reply.input_tokens + reply.output_tokens,
        },
    }


def _item_events(index: int, item: dict[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    place = {"item_id": item["id"], "output_index": index}
    empty = {**item, "status": "in_progress"}
    if item["type"] == "message":
        yield {"type": "response.output_item.added", "output_index": index, "item": {**empty, "content": []}}
        part = {"type": "output_text", "text": "", "annotations": []}
        yield {"type": "response.content_part.added", **place, "content_index": 0, "part": part}
        for piece in reply.pieces():
            yield {"type": "response.output_text.delta", **place, "content_index": 0, "delta": piece, "logprobs": []}
        yield {"type": "response.output_text.done", **place, "content_index": 0, "text": reply.text, "logprobs": []}
        yield {"type": "response.content_part.done", **place, "content_index": 0, "part": item["content"][0]}
    elif item["type"] == "function_call":
        yield {"type": "response.output_item.added", "output_index": index, "item": {**empty, "arguments": ""}}
        half = len(item["arguments"]) // 2
        for piece in (item["arguments"][:half], item["arguments"][half:]):
            yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
        yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]}
    else:
        yield {"type": "response.output_item.added", "output_index": index, "item": {**item, "summary": []}}
        for part in item["summary"]:
            yield {"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": part["text"]}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _frames(whole: dict[str, Any], reply: Reply) -> Iterator[bytes]:
    def events() -> Iterator[dict[str, Any]]:
        beginning = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
        yield {"type": "response.created", "response": beginning}
        yield {"type": "response.in_progress", "response": beginning}
        for index, item in enumerate(whole["output"]):
            yield from _item_events(index, item, reply)
        yield {"type": f"response.{whole['status']}", "response": whole}

    for number, event in enumerate(events()):
        yield sse({**event, "sequence_number": number}, event["type"])


def respond(dialect: OpenAI, body: dict[str, Any]) -> Answered:
    question = question_of(body)
    if question.model not in dialect.models:
        return dialect.error(404, f"the model '{question.model}' does not exist", "model_not_found")
    reply = dialect.reply(question)
    whole = _whole(dialect.number(), question, reply)
    if question.is_stream:
        return stream_answer(_frames(whole, reply), dialect.answer_headers())
    return json_answer(whole, headers=dialect.answer_headers())
