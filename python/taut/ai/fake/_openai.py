"""OpenAI's chat completions, and the servers that are like it."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from . import _openai_batches as openai_batches
from . import _openai_responses as openai_responses
from . import _perplexity_jobs as perplexity_jobs
from . import _xai_batches as xai_batches
from ._answers import Question, Reply
from ._server import Answered, Dialect, Request, json_answer, sse, stream_answer

CREATED = 1_790_000_000  # seconds since 1970; the same each time, so that answers can be compared


def text_of(content: Any) -> str:
    """The text of a message's content, which is a string or parts."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def vector_of(text: str, size: int) -> list[float]:
    """A unit vector that depends on the text alone."""
    numbers = [math.sin((position + 1) * (sum(text.encode()) + 1)) for position in range(size)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]


def token_logprobs(pieces: Iterable[str], others: int) -> list[dict[str, Any]]:
    """Each piece as a token of probability 1/2, and others of less."""

    def token(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    return [
        {
            **token(piece, math.log(0.5)),
            "top_logprobs": [token(piece, math.log(0.5))][:others]
            + [token(f"other{rank}", math.log(0.5) - rank) for rank in range(1, others)],
        }
        for piece in pieces
    ]


class OpenAI(Dialect):
    name = "openai"
    path_prefix = "/v1"
    embedding_size = 8

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.batches = openai_batches.BatchStore()

    # ---- Routes

    def respond(self, request: Request) -> Answered:
        path = request.path
        if path.startswith(self.path_prefix):
            path = path[len(self.path_prefix) :]
        if request.method == "POST" and path == "/chat/completions":
            return self.chat(request.json())
        if request.method == "POST" and path == "/embeddings":
            return self.embeddings(request.json())
        if request.method == "GET" and path == "/models":
            return self.model_list()
        if request.method == "POST" and path == "/responses":
            return openai_responses.respond(self, request.json())
        if path.startswith(("/files", "/batches")):
            return self.batches.respond(self, request, path)
        return self.not_found(request)

    def answer_headers(self) -> dict[str, str]:
        return {
            "x-request-id": f"req_fake_{self.number()}",
            "x-ratelimit-remaining-requests": "99",
            "x-ratelimit-reset-requests": "12ms",
        }

    # ---- Chat

    def question_of(self, body: dict[str, Any]) -> Question:
        messages = body["messages"]
        last = messages[-1]
        schema: dict[str, Any] | None = None
        form = body.get("response_format") or {}
        if form.get("type") == "json_object":
            schema = form.get("schema", {})
        elif form.get("type") == "json_schema":
            schema = form["json_schema"]["schema"]
        choice = body.get("tool_choice", "")
        if isinstance(choice, dict):
            choice = choice["function"]["name"]
        return Question(
            model=body["model"],
            text=text_of(last.get("content")),
            role=last["role"],
            system="".join(text_of(m.get("content")) for m in messages if m["role"] in ("system", "developer")),
            tools=[tool["function"] for tool in body.get("tools", [])],
            tool_choice=choice,
            schema=schema,
            logprobs=int(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
            count=int(body.get("n") or 1),
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
            is_stream=bool(body.get("stream")),
            prompt="".join(text_of(message.get("content")) for message in messages),
        )

    def chat(self, body: dict[str, Any]) -> Answered:
        question = self.question_of(body)
        if question.model not in self.models:
            return self.error(404, f"the model '{question.model}' does not exist", "model_not_found")
        reply = self.reply(question)
        identity = self.identity(question)
        if question.is_stream:
            options = body.get("stream_options") or {}
            frames = self.frames(identity, question, reply, bool(options.get("include_usage")))
            return stream_answer(frames, self.answer_headers())
        choices = [self.choice(index, question, reply) for index in range(question.count)]
        value = {**identity, "object": "chat.completion", "choices": choices, "usage": self.usage(reply)}
        return json_answer(self.finished(value, reply), headers=self.answer_headers())

    def identity(self, question: Question) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-fake-{self.number()}",
            "created": CREATED,
            "model": question.model,
            "system_fingerprint": "fp_fake",
        }

    def finish_reason(self, reply: Reply) -> str:
        if reply.tool_calls:
            return "tool_calls"
        return "length" if reply.is_cut else "stop"

    def calls(self, reply: Reply) -> list[dict[str, Any]]:
        return [
            {
                "id": f"call_fake_{index}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for index, (name, arguments) in enumerate(reply.tool_calls)
        ]

    def choice(self, index: int, question: Question, reply: Reply) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self.content(reply), "refusal": None}
        if reply.reasoning:
            message.update(self.reasoning(reply.reasoning))
        if reply.tool_calls:
            message["content"] = None
            message["tool_calls"] = self.calls(reply)
        logprobs = None
        if question.logprobs is not None:
            logprobs = {"content": token_logprobs(reply.pieces(), question.logprobs), "refusal": None}
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": self.finish_reason(reply)}

    def content(self, reply: Reply) -> str:
        return reply.text

    def reasoning(self, text: str) -> dict[str, Any]:
        return {"reasoning_content": text}

    def usage(self, reply: Reply) -> dict[str, Any]:
        return {
            "prompt_tokens": reply.input_tokens,
            "completion_tokens": reply.output_tokens,
            "total_tokens": reply.input_tokens + reply.output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        }

    def finished(self, value: dict[str, Any], reply: Reply) -> dict[str, Any]:
        """What a dialect adds to a whole answer."""
        return value

    # ---- Streams

    def call_deltas(self, reply: Reply) -> Iterator[dict[str, Any]]:
        """A call as OpenAI streams it: its name first, then its arguments in two pieces."""
        for index, call in enumerate(self.calls(reply)):
            arguments = call["function"]["arguments"]
            half = len(arguments) // 2
            head = {**call, "index": index, "function": {"name": call["function"]["name"], "arguments": ""}}
            yield {"tool_calls": [head]}
            for piece in (arguments[:half], arguments[half:]):
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}

    def deltas(self, reply: Reply) -> Iterator[dict[str, Any]]:
        yield {"role": "assistant", "content": ""}
        if reply.reasoning:
            yield self.reasoning(reply.reasoning)
        for piece in [] if reply.tool_calls else reply.pieces():
            yield {"content": piece}
        yield from self.call_deltas(reply)

    def frames(self, identity: dict[str, Any], question: Question, reply: Reply, with_usage: bool) -> Iterator[bytes]:
        head = {**identity, "object": "chat.completion.chunk"}
        for index in range(question.count):
            for delta in self.deltas(reply):
                choice: dict[str, Any] = {"index": index, "delta": delta, "finish_reason": None}
                if question.logprobs is not None and delta.get("content"):
                    choice["logprobs"] = {"content": token_logprobs([delta["content"]], question.logprobs)}
                yield sse({**head, "choices": [choice]})
            end = {"index": index, "delta": {}, "finish_reason": self.finish_reason(reply)}
            yield sse({**head, "choices": [end]})
        if with_usage:
            yield sse({**head, "choices": [], "usage": self.usage(reply)})
        yield sse("[DONE]")

    # ---- The rest

    def embeddings(self, body: dict[str, Any]) -> Answered:
        inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
        size = int(body.get("dimensions") or self.embedding_size)
        data = [
            {"object": "embedding", "index": index, "embedding": self.encoded(vector_of(text, size), body)}
            for index, text in enumerate(inputs)
        ]
        tokens = sum(max(1, len(text) // 4) for text in inputs)
        value = {
            "object": "list",
            "model": body["model"],
            # Order is told by the index alone.
            "data": data[::-1],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        return json_answer(value, headers=self.answer_headers())

    def encoded(self, vector: list[float], body: dict[str, Any]) -> Any:
        if body.get("encoding_format") == "base64":
            return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        return vector

    def model_list(self) -> Answered:
        data = [self.model_entry(model) for model in self.models]
        return json_answer({"object": "list", "data": data})

    def model_entry(self, model: str) -> dict[str, Any]:
        return {"id": model, "object": "model", "created": CREATED, "owned_by": "fake"}

    # ---- Errors

    def error(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Answered:
        kind = {401: "invalid_request_error", 429: "requests", 500: "server_error"}.get(status, "invalid_request_error")
        code = code or {429: "rate_limit_exceeded"}.get(status, "")
        error = {"message": message, "type": kind, "param": None, "code": code or None}
        return json_answer({"error": error}, status, {**self.answer_headers(), **(headers or {})})

    def error_frame(self) -> bytes:
        return sse({"error": {"message": "a fault that was asked for", "type": "server_error", "code": None}})

    def quota_error(self) -> Answered:
        error = {
            "message": "You exceeded your current quota",
            "type": "insufficient_quota",
            "param": None,
            "code": "insufficient_quota",
        }
        return json_answer({"error": error}, 429)

    def context_error(self) -> Answered:
        error = {
            "message": "This model's maximum context length is 10 tokens",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
        return json_answer({"error": error}, 400)


class XAI(OpenAI):
    """Grok: reasoning apart, calls whole in one piece, reasoning tokens beside the others, a cost in ticks."""

    name = "xai"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.batches = xai_batches.XaiBatchStore()

    def call_deltas(self, reply: Reply) -> Iterator[dict[str, Any]]:
        for index, call in enumerate(self.calls(reply)):
            yield {"tool_calls": [{**call, "index": index}]}

    def usage(self, reply: Reply) -> dict[str, Any]:
        value = super().usage(reply)
        value["completion_tokens"] -= reply.reasoning_tokens
        value["num_sources_used"] = len(reply.citations)
        value["cost_in_usd_ticks"] = 10_000 * value["total_tokens"]  # of 1e-10 US dollars
        return value

    def finished(self, value: dict[str, Any], reply: Reply) -> dict[str, Any]:
        return {**value, "citations": reply.citations} if reply.citations else value

    def error(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Answered:
        value = {"code": code or "Client specified an invalid argument", "error": message}
        return json_answer(value, status, headers)


class Perplexity(OpenAI):
    """Sonar: running usage in every piece, citations, a cost, thoughts in the text, and no [DONE]."""

    name = "perplexity"
    path_prefix = ""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.jobs = perplexity_jobs.JobStore()

    def respond(self, request: Request) -> Answered:
        jobs = "/async/chat/completions"
        if request.path == jobs or request.path.startswith(jobs + "/"):
            return self.jobs.respond(self, request, request.path[len(jobs) + 1 :])
        if request.method == "POST" and request.path == "/v1/embeddings":
            return super().embeddings(request.json())
        return super().respond(request)

    def content(self, reply: Reply) -> str:
        return f"<think>{reply.reasoning}</think>\n{reply.text}" if reply.reasoning else reply.text

    def reasoning(self, text: str) -> dict[str, Any]:
        return {}

    def usage(self, reply: Reply) -> dict[str, Any]:
        total = reply.input_tokens + reply.output_tokens
        return {
            "prompt_tokens": reply.input_tokens,
            "completion_tokens": reply.output_tokens,
            "total_tokens": total,
            "cost": {"total_cost": total * 1e-6, "request_cost": 0.0},
        }

    def finished(self, value: dict[str, Any], reply: Reply) -> dict[str, Any]:
        results = [{"title": f"Page {n}", "url": url, "date": None} for n, url in enumerate(reply.citations, 1)]
        return {**value, "citations": reply.citations, "search_results": results}

    def frames(self, identity: dict[str, Any], question: Question, reply: Reply, with_usage: bool) -> Iterator[bytes]:
        spoken = Reply(text=self.content(reply))
        pieces = spoken.pieces() or [""]
        for number, piece in enumerate(pieces, 1):
            is_last = number == len(pieces)
            running = self.usage(reply)
            running["completion_tokens"] = reply.output_tokens * number // len(pieces)
            running["total_tokens"] = reply.input_tokens + running["completion_tokens"]
            choice: dict[str, Any] = {"index": 0, "delta": {"role": "assistant", "content": piece}}
            if is_last and reply.tool_calls:
                choice["delta"]["tool_calls"] = [{**call, "index": i} for i, call in enumerate(self.calls(reply))]
            if is_last:
                choice["finish_reason"] = self.finish_reason(reply)
            kind = "chat.completion.done" if is_last else "chat.completion.chunk"
            yield sse(self.finished({**identity, "object": kind, "choices": [choice], "usage": running}, reply))

    def embeddings(self, body: dict[str, Any]) -> Answered:
        return self.error(404, "embeddings are at another place")

    def encoded(self, vector: list[float], body: dict[str, Any]) -> Any:
        """Numbers of eight bits, or of one: there are no others."""
        if body.get("encoding_format", "base64_int8") == "base64_int8":
            packed = bytes(round(127 * number) & 0xFF for number in vector)
        elif body["encoding_format"] == "base64_binary":
            bits = "".join("1" if number > 0 else "0" for number in vector)
            packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
        else:
            raise ValueError(f"encoding_format is {body['encoding_format']}")
        return base64.b64encode(packed).decode()

    def model_list(self) -> Answered:
        return self.error(404, "there is no list of models")

    def error(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Answered:
        if status == 422:
            return json_answer({"detail": [{"loc": ["body"], "msg": message, "type": "value_error"}]}, status, headers)
        return json_answer({"error": {"message": message, "type": "error", "code": status}}, status, headers)


class VLLM(OpenAI):
    """vLLM: reasoning by another name, a number for a code, and [DONE] after an error, too."""

    name = "vllm"
    needs_key = False

    def reasoning(self, text: str) -> dict[str, Any]:
        return {"reasoning": text}

    def model_entry(self, model: str) -> dict[str, Any]:
        return {**super().model_entry(model), "max_model_len": 4096}

    def error(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Answered:
        error = {"message": message, "type": "BadRequestError", "param": None, "code": status}
        return json_answer({"error": error}, status, headers)

    def error_frame(self) -> bytes:
        error = {"message": "a fault that was asked for", "type": "InternalServerError", "code": 500}
        return sse({"error": error}) + sse("[DONE]")


class Ollama(OpenAI):
    """Ollama: calls whole and without an index of their own."""

    name = "ollama"
    needs_key = False

    def identity(self, question: Question) -> dict[str, Any]:
        return {**super().identity(question), "id": f"chatcmpl-{self.number()}", "system_fingerprint": "fp_ollama"}

    def reasoning(self, text: str) -> dict[str, Any]:
        return {"reasoning": text}

    def call_deltas(self, reply: Reply) -> Iterator[dict[str, Any]]:
        for call in self.calls(reply):
            yield {"tool_calls": [call]}

    def error(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Answered:
        kind = "not_found_error" if status == 404 else "api_error"
        return json_answer({"error": {"message": message, "type": kind, "param": None, "code": None}}, status, headers)


class LlamaCpp(OpenAI):
    """llama.cpp: times with each answer, tokens by number, and errors with a number for a code."""

    name = "llama.cpp"
    needs_key = False

    def choice(self, index: int, question: Question, reply: Reply) -> dict[str, Any]:
        value = super().choice(index, question, reply)
        for number, token in enumerate((value["logprobs"] or {}).get("content", [])):
            token["id"] = 1000 + number
        return value

    def finished(self, value: dict[str, Any], reply: Reply) -> dict[str, Any]:
        return {**value, "timings": {"prompt_n": reply.input_tokens, "predicted_n": reply.output_tokens}}

    def error(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Answered:
        kind = {503: "unavailable_error", 404: "not_found_error"}.get(status, "invalid_request_error")
        return json_answer({"error": {"code": status, "message": message, "type": kind}}, status, headers)

    def context_error(self) -> Answered:
        error = {
            "code": 400,
            "message": "the request exceeds the available context size",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 20,
            "n_ctx": 10,
        }
        return json_answer({"error": error}, 400)
