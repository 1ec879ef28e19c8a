"""From the JSON text of the bindings to objects."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from . import _types as types
from ._errors import ProviderError


def part(value: dict[str, Any]) -> types.Part:
    kind = value["type"]
    if kind == "text":
        return types.Text(value["text"])
    if kind == "image":
        return types.Image(
            value.get("url", ""),
            base64.b64decode(value.get("bytes", "")),
            value.get("media_type", ""),
            value.get("detail", ""),
        )
    if kind == "tool_call":
        return tool_call(value)
    if kind == "tool_result":
        return types.ToolResult(
            value.get("call_id", ""), value.get("content", ""), value.get("name", ""), value.get("is_error", False)
        )
    return types.Reasoning(value.get("text", ""), value.get("signature", ""), value.get("redacted", ""))


def tool_call(value: dict[str, Any]) -> types.ToolCall:
    return types.ToolCall(
        value.get("name", ""), value.get("arguments", ""), value.get("id", ""), value.get("signature", "")
    )


def token(value: dict[str, Any]) -> types.TokenLogprob:
    data = value.get("bytes")
    return types.TokenLogprob(
        value["token"],
        value.get("logprob", math.nan),
        None if data is None else bytes(data),
        value.get("token_id"),
        [token(other) for other in value.get("top", [])],
    )


def usage(value: dict[str, Any]) -> types.Usage:
    return types.Usage(**value)


def candidate(value: dict[str, Any]) -> types.Candidate:
    return types.Candidate(
        [part(item) for item in value.get("parts", [])],
        value.get("refusal", ""),
        value.get("finish_reason", "unknown"),
        value.get("raw_finish_reason", ""),
        [token(item) for item in value.get("logprobs", [])],
    )


def report(text: str) -> types.RouteReport:
    value = json.loads(text)
    value["steps"] = [types.RouteStep(**step) for step in value.get("steps", [])]
    return types.RouteReport(**value)


def chat_response_of(value: dict[str, Any], route: str | None = None) -> types.ChatResponse:
    return types.ChatResponse(
        **{
            **value,
            "candidates": [candidate(item) for item in value.get("candidates", [])],
            "usage": usage(value.get("usage", {})),
            "citations": [types.Citation(**item) for item in value.get("citations", [])],
            "headers": dict(value.get("headers", [])),
            "route": None if route is None else report(route),
        }
    )


def chat_response(texts: tuple[str, str | None]) -> types.ChatResponse:
    return chat_response_of(json.loads(texts[0]), texts[1])


def embedding_response(given: tuple[str, list[list[float]]]) -> types.EmbeddingResponse:
    value = json.loads(given[0])
    value.pop("embeddings", None)
    return types.EmbeddingResponse(
        given[1], **{**value, "usage": usage(value.get("usage", {})), "headers": dict(value.get("headers", []))}
    )


def event(text: str) -> types.StreamEvent:
    value = json.loads(text)
    if "call" in value:
        value["call"] = tool_call(value["call"])
    if "citation" in value:
        value["citation"] = types.Citation(**value["citation"])
    if "usage" in value:
        value["usage"] = usage(value["usage"])
    value["logprobs"] = [token(item) for item in value.get("logprobs", [])]
    return types.StreamEvent(**value)


def models(texts: list[str]) -> list[types.ModelInfo]:
    return [types.ModelInfo(**json.loads(text)) for text in texts]


def batch_status(text: str) -> types.BatchStatus:
    return types.BatchStatus(**json.loads(text))


def batch_results(texts: list[str]) -> list[types.BatchResult]:
    results = []
    for text in texts:
        value = json.loads(text)
        result = types.BatchResult(value["id"])
        if "response" in value:
            result.response = chat_response_of(value["response"])
        if "error" in value:
            details = dict(value["error"])
            result.error = ProviderError(details.pop("message", ""), **details)
        results.append(result)
    return results
