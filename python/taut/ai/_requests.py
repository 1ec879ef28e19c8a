"""From messages and options to the JSON text of the bindings."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Union

from .. import ValueError as TautValueError
from . import _types as types

Messages = Union[str, types.Message, Mapping[str, Any], Sequence[Union[types.Message, Mapping[str, Any]]]]


class ChatOptions(TypedDict, total=False):
    """What a chat may ask for beside its messages. What is not given is not sent."""

    model: str
    max_tokens: int | None  # of the answer, reasoning included
    temperature: float | None
    top_p: float | None
    top_k: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    seed: int | None
    stop: str | Sequence[str] | None
    reasoning_effort: str | None  # none, minimal, low, medium, high ... as the model has it
    n: int | None  # answers to draw
    response_format: str | Mapping[str, Any] | None  # "json", OpenAI's form, or a JSON Schema
    tools: Sequence[types.Tool | Mapping[str, Any]] | None
    tool_choice: str | Mapping[str, Any] | None  # auto, none, required, or a function's name
    parallel_tool_calls: bool | None
    logprobs: bool
    top_logprobs: int  # others at each place; -1: all that the server gives
    user: str | None
    extra: Mapping[str, Any] | None  # fields of the provider's own, over all others
    headers: Mapping[str, str] | None
    on_missing: str  # what becomes of features that the model lacks: error, or drop_with_warning
    deadline: float | None  # seconds, for attempts, waits and fallbacks together
    task: str  # whose budget pays, and what a report calls it


if TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack


def _fail(what: str) -> TautValueError:
    return TautValueError(f"chat: {what}")


def _member(value: Mapping[str, Any], name: str, where: str) -> Any:
    if not isinstance(value, Mapping) or name not in value:
        got = ", ".join(map(repr, value)) if isinstance(value, Mapping) else type(value).__name__
        raise _fail(f"{where}: there is no {name!r}; got {got or 'nothing'}")
    return value[name]


# ---- Messages


def _image(part: types.Image) -> dict[str, Any]:
    value: dict[str, Any] = {"type": "image"}
    if part.url:
        value["url"] = part.url
    if part.data:
        value["bytes"] = base64.b64encode(part.data).decode()
        value["media_type"] = part.media_type
    if part.detail:
        value["detail"] = part.detail
    return value


def _part(part: types.Part) -> dict[str, Any]:
    if isinstance(part, types.Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, types.Image):
        return _image(part)
    if isinstance(part, types.ToolCall):
        value = {"type": "tool_call", "name": part.name, "arguments": part.arguments, "id": part.id}
        return {**value, "signature": part.signature} if part.signature else value
    if isinstance(part, types.ToolResult):
        return {
            "type": "tool_result",
            "call_id": part.call_id,
            "content": part.content,
            "name": part.name,
            "is_error": part.is_error,
        }
    if isinstance(part, types.Reasoning):
        return {"type": "reasoning", "text": part.text, "signature": part.signature, "redacted": part.redacted}
    raise _fail(f"messages: unknown part; got {type(part).__name__}")


def _message(message: types.Message) -> dict[str, Any]:
    parts = [types.Text(message.content)] if isinstance(message.content, str) else message.content
    return {"role": message.role, "parts": [_part(part) for part in parts]}


def _part_of_dict(value: Any) -> types.Part:
    if isinstance(value, str):
        return types.Text(value)
    if not isinstance(value, Mapping):
        raise _fail(f"messages: content: got {type(value).__name__}; expected texts or parts")
    kind = value.get("type")
    if kind in ("text", "input_text", "output_text"):
        return types.Text(_member(value, "text", "messages: content"))
    if kind == "image_url":
        image = _member(value, "image_url", "messages: content")
        if isinstance(image, str):
            return types.Image(image)
        return types.Image(_member(image, "url", "messages: content: image_url"), detail=image.get("detail", ""))
    raise _fail(f"messages: content: unknown type; got {kind!r}; expected text or image_url")


def _message_of_dict(value: Mapping[str, Any]) -> types.Message:
    """A message in OpenAI's form."""
    role = value.get("role")
    if role == "developer":
        role = "system"
    if role not in ("system", "user", "assistant", "tool"):
        raise _fail(f"messages: role: got {role!r}; expected system, developer, user, assistant or tool")
    content = value.get("content")
    if role == "tool":
        text = content if isinstance(content, str) else "".join(_part_of_dict(item).text for item in content or [])  # type: ignore[union-attr]
        return types.Message("tool", [types.ToolResult(value.get("tool_call_id", ""), text, value.get("name", ""))])
    parts: list[types.Part] = []
    if isinstance(content, str):
        parts.append(types.Text(content))
    elif content is not None:
        parts.extend(_part_of_dict(item) for item in content)
    for call in value.get("tool_calls") or []:
        function = _member(call, "function", "messages: tool_calls")
        name = _member(function, "name", "messages: tool_calls: function")
        parts.append(types.ToolCall(name, function.get("arguments", ""), call.get("id", "")))
    return types.Message(role, parts)


def messages_of(messages: Messages) -> list[dict[str, Any]]:
    if isinstance(messages, str):
        return [_message(types.Message("user", messages))]
    if isinstance(messages, (types.Message, Mapping)):
        messages = [messages]
    made = []
    for message in messages:
        if isinstance(message, Mapping):
            message = _message_of_dict(message)
        if not isinstance(message, types.Message):
            raise _fail(f"messages: got {type(message).__name__}; expected texts, Message objects or dicts")
        made.append(_message(message))
    return made


# ---- Tools and formats


def _tool(tool: types.Tool | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(tool, Mapping):
        function = tool.get("function", tool)
        tool = types.Tool(
            _member(function, "name", "tools"),
            function.get("description", ""),
            function.get("parameters"),
            bool(function.get("strict", False)),
        )
    value: dict[str, Any] = {"name": tool.name, "description": tool.description, "strict": tool.strict}
    if tool.parameters is not None:
        value["parameters"] = json.dumps(tool.parameters)
    return value


def _tool_choice(choice: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(choice, Mapping):
        return {"kind": "named", "name": _member(choice.get("function", choice), "name", "tool_choice")}
    word = {"auto": "automatic", "none": "none", "required": "required"}.get(choice)
    return {"kind": word} if word else {"kind": "named", "name": choice}


def _format(given: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(given, str):
        kind = {"json": "json_object", "json_object": "json_object", "text": "text"}.get(given)
        if kind is None:
            raise _fail(f"response_format: got {given!r}; expected 'json', 'text' or a JSON Schema")
        return {"kind": kind, "name": "answer"}
    kind = given.get("type")
    if kind in ("text", "json_object") and "properties" not in given:
        return {"kind": kind, "name": "answer"}
    schema: Mapping[str, Any] = {"schema": given}
    if kind == "json_schema":
        schema = _member(given, "json_schema", "response_format")
    return {
        "kind": "json_schema",
        "name": schema.get("name", "answer"),
        "schema": json.dumps(_member(schema, "schema", "response_format: json_schema")),
        "strict": bool(schema.get("strict", True)),
    }


def _stops(stop: str | Iterable[str]) -> list[str]:
    return [stop] if isinstance(stop, str) else list(stop)


# ---- Requests

_RENAMED = {"max_tokens": "max_output_tokens", "n": "candidates", "on_missing": "features", "response_format": "format"}
_CONVERTED: dict[str, Callable[[Any], Any]] = {
    "stop": _stops,
    "response_format": _format,
    "tools": lambda tools: [_tool(tool) for tool in tools],
    "tool_choice": _tool_choice,
    "extra": lambda extra: json.dumps(extra),
    "headers": lambda headers: [[name, value] for name, value in headers.items()],
}


def chat_value(messages: Messages, options: Mapping[str, Any], model: str = "") -> dict[str, Any]:
    """The request as the members of its JSON form."""
    unknown = set(options) - set(ChatOptions.__annotations__)
    if unknown:
        raise TypeError(f"chat: unknown option '{sorted(unknown)[0]}'")
    value: dict[str, Any] = {"messages": messages_of(messages)}
    for name, option in options.items():
        if option is None:
            continue
        convert = _CONVERTED.get(name)
        value[_RENAMED.get(name, name)] = convert(option) if convert else option
    value.setdefault("model", model)
    if not value["model"]:
        raise _fail("there is no model; pass model=..., here or to Client.provider")
    return value


def chat_text(messages: Messages, options: Mapping[str, Any], model: str = "") -> str:
    return json.dumps(chat_value(messages, options, model))


def request_value_to_messages(value: dict[str, Any]) -> list[types.Message]:
    """The messages of a request in its JSON form, for backends of Python's own."""
    from . import _responses

    return [
        types.Message(message["role"], [_responses.part(part) for part in message.get("parts", [])])
        for message in value.get("messages", [])
    ]
