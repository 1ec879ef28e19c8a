"""What the model of a fake server says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Union


@dataclass
class Question:
    """A request, in words that are the same for all providers."""

    model: str
    text: str  # of the last message
    role: str = "user"  # who says that
    system: str = ""
    tools: list[dict[str, Any]] = field(default_factory=list)  # name and parameters of each
    tool_choice: str = ""  # auto, none, required or a name
    schema: dict[str, Any] | None = None  # of the answer; {} for any JSON
    logprobs: int | None = None  # others at each place, where they are asked for
    count: int = 1
    max_tokens: int | None = None
    is_stream: bool = False
    prompt: str = ""  # all of it, for counting tokens


@dataclass
class Reply:
    """What the model of a fake server says."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[tuple[str, Any]] = field(default_factory=list)  # name and arguments
    citations: list[str] = field(default_factory=list)  # addresses
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    is_cut: bool = False  # whether max_tokens ended it

    def pieces(self) -> list[str]:
        """The text as a stream would bring it: word by word."""
        words = self.text.split(" ")
        return [word + " " for word in words[:-1]] + [words[-1]] if self.text else []


Answer = Callable[[Question], Union[str, Reply]]


def tokens_of(text: str) -> int:
    return max(1, len(text) // 4)


def instance_of(schema: dict[str, Any]) -> Any:
    """A small value that a JSON Schema allows."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            return instance_of(schema[word][0])
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return {name: instance_of(member) for name, member in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance_of(schema.get("items", {"type": "string"}))] * int(schema.get("minItems", 1))
    return {
        "string": "text",
        "integer": int(schema.get("minimum", 1)),
        "number": float(schema.get("minimum", 1.0)),
        "boolean": True,
        "null": None,
    }.get(kind)


def usual_answer(question: Question) -> Reply:
    """Calls a tool that it has to or is told to, fills in a schema, and repeats what was said otherwise."""
    if question.role == "tool":
        return Reply(f"The tool says: {question.text}")
    for tool in question.tools:
        is_named = tool["name"] == question.tool_choice
        is_told = question.tool_choice != "none" and f"use {tool['name']}" in question.text
        if is_named or is_told or question.tool_choice == "required":
            return Reply(tool_calls=[(tool["name"], instance_of(tool.get("parameters") or {}))])
    if question.schema is not None:
        return Reply(json.dumps(instance_of(question.schema)))
    return Reply(f"You said: {question.text}")


def reply_to(question: Question, answer: Answer | None) -> Reply:
    reply = (answer or usual_answer)(question)
    if isinstance(reply, str):
        reply = Reply(reply)
    if question.max_tokens is not None and tokens_of(reply.text) > question.max_tokens:
        reply.text = reply.text[: 4 * question.max_tokens]
        reply.is_cut = True
    reply.input_tokens = reply.input_tokens or tokens_of(question.prompt)
    if reply.reasoning and not reply.reasoning_tokens:
        reply.reasoning_tokens = tokens_of(reply.reasoning)
    spoken = reply.text + "".join(json.dumps(arguments) for _, arguments in reply.tool_calls)
    reply.output_tokens = reply.output_tokens or tokens_of(spoken) * question.count + reply.reasoning_tokens
    return reply
