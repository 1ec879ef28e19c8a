"""Gemini's generateContent, embeddings and models."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ._answers import Question, Reply
from ._server import Answered, Dialect, Request, json_answer, sse, stream_answer
from ._openai import vector_of

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def _text(content: dict[str, Any] | None) -> str:
    return "".join(part.get("text", "") for part in (content or {}).get("parts", []))


class Gemini(Dialect):
    name = "gemini"
    key_header = ("x-goog-api-key", "")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._batches: dict[str, dict[str, Any]] = {}

    def respond(self, request: Request) -> Answered:
        parts = request.path.strip("/").split("/")
        if parts[0] not in ("v1", "v1beta"):
            return self.not_found(request)
        if request.method == "GET" and parts[1:] == ["models"]:
            return self.model_list(request)
        if parts[1] == "batches" and len(parts) == 3:
            return self.batch(request, parts[2])
        if request.method == "POST" and parts[1] == "models" and len(parts) == 3:
            model, _, action = parts[2].partition(":")
            if model not in self.models:
                return self.error(404, f"models/{model} is not found")
            return self.act(model, action, request)
        return self.not_found(request)

    def act(self, model: str, action: str, request: Request) -> Answered:
        body = request.json()
        if action == "generateContent":
            return json_answer(self.generate(model, body))
        if action == "streamGenerateContent" and request.query.get("alt") == ["sse"]:
            question = self.question_of(model, body)
            return stream_answer(self.frames(question, self.reply(question)), {"content-disposition": "attachment"})
        if action == "batchEmbedContents":
            sizes = [int(item.get("outputDimensionality") or 8) for item in body["requests"]]
            texts = [_text(item["content"]) for item in body["requests"]]
            return json_answer({"embeddings": [{"values": vector_of(t, n)} for t, n in zip(texts, sizes)]})
        if action == "batchGenerateContent":
            return self.create_batch(model, body)
        return self.error(404, f"the method {action} is not known")

    # ---- Content

    def question_of(self, model: str, body: dict[str, Any]) -> Question:
        contents = body["contents"]
        last = contents[-1]
        results = [part["functionResponse"] for part in last["parts"] if "functionResponse" in part]
        settings = body.get("generationConfig", {})
        calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
        mode = {"ANY": "required", "NONE": "none", "AUTO": "auto"}.get(calling.get("mode", ""), "")
        names = calling.get("allowedFunctionNames") or []
        schema = None
        if settings.get("responseMimeType") == "application/json":
            schema = settings.get("responseJsonSchema", {})
        tools = [
            {"name": function["name"], "parameters": function.get("parametersJsonSchema")}
            for tool in body.get("tools", [])
            for function in tool.get("functionDeclarations", [])
        ]
        return Question(
            model=model,
            text=str(results[0]["response"]) if results else _text(last),
            role="tool" if results else "user",
            system=_text(body.get("systemInstruction")),
            tools=tools,
            tool_choice=names[0] if names else mode,
            schema=schema,
            logprobs=int(settings.get("logprobs", 0)) if settings.get("responseLogprobs") else None,
            count=int(settings.get("candidateCount", 1)),
            max_tokens=settings.get("maxOutputTokens"),
            prompt=_text(body.get("systemInstruction")) + "".join(_text(content) for content in contents),
        )

    def parts(self, reply: Reply) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        if reply.reasoning:
            parts.append({"text": reply.reasoning, "thought": True})
        if reply.text:
            parts.append({"text": reply.text})
        for name, arguments in reply.tool_calls:
            parts.append({"functionCall": {"name": name, "args": arguments}, "thoughtSignature": "ZmFrZQ=="})
        return parts

    def usage(self, reply: Reply) -> dict[str, Any]:
        value = {
            "promptTokenCount": reply.input_tokens,
            "candidatesTokenCount": reply.output_tokens - reply.reasoning_tokens,
            "totalTokenCount": reply.input_tokens + reply.output_tokens,
        }
        return {**value, "thoughtsTokenCount": reply.reasoning_tokens} if reply.reasoning_tokens else value

    def envelope(self, model: str, candidates: list[dict[str, Any]], reply: Reply) -> dict[str, Any]:
        return {
            "candidates": candidates,
            "usageMetadata": self.usage(reply),
            "modelVersion": model,
            "responseId": f"fake-{self.number()}",
        }

    def generate(self, model: str, body: dict[str, Any]) -> dict[str, Any]:
        question = self.question_of(model, body)
        reply = self.reply(question)
        candidates = []
        for index in range(question.count):
            candidate: dict[str, Any] = {
                "content": {"role": "model", "parts": self.parts(reply)},
                "finishReason": "MAX_TOKENS" if reply.is_cut else "STOP",
                "index": index,
            }
            if question.logprobs is not None:
                candidate["logprobsResult"] = self.logprobs(reply, question.logprobs)
            candidates.append(candidate)
        return self.envelope(model, candidates, reply)

    def logprobs(self, reply: Reply, others: int) -> dict[str, Any]:
        def token(text: str, rank: int) -> dict[str, Any]:
            return {"token": text, "tokenId": 100 + rank, "logProbability": math.log(0.5) - rank}

        pieces = reply.pieces()
        return {
            "chosenCandidates": [token(piece, 0) for piece in pieces],
            "topCandidates": [
                {"candidates": [token(piece if rank == 0 else f"other{rank}", rank) for rank in range(others)]}
                for piece in pieces
            ],
        }

    def frames(self, question: Question, reply: Reply) -> Iterator[bytes]:
        """Lines end with CRLF, and nothing marks the end."""
        pieces = [{"text": reply.reasoning, "thought": True}] if reply.reasoning else []
        pieces += [{"text": piece} for piece in reply.pieces()]
        pieces += [part for part in self.parts(Reply(tool_calls=reply.tool_calls))]
        for number, part in enumerate(pieces or [{"text": ""}], 1):
            candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
            if number == max(len(pieces), 1):
                candidate["finishReason"] = "MAX_TOKENS" if reply.is_cut else "STOP"
            yield sse(self.envelope(question.model, [candidate], reply), end="\r\n")

    # ---- Models and batches

    def model_list(self, request: Request) -> Answered:
        """One model a page, so that paging is tried."""
        start = int(request.query.get("pageToken", ["0"])[0])
        value: dict[str, Any] = {
            "models": [
                {"name": f"models/{model}", "displayName": model, "inputTokenLimit": 4096, "outputTokenLimit": 1024}
                for model in self.models[start : start + 1]
            ]
        }
        if start + 1 < len(self.models):
            value["nextPageToken"] = str(start + 1)
        return json_answer(value)

    def create_batch(self, model: str, body: dict[str, Any]) -> Answered:
        name = f"fake-{self.number()}"
        requests = body["batch"]["inputConfig"]["requests"]["requests"]
        with self._lock:
            self._batches[name] = {"model": model, "requests": requests, "looks": 0, "state": "BATCH_STATE_PENDING"}
        return json_answer(self._batch_value(name))

    def batch(self, request: Request, name: str) -> Answered:
        name, _, action = name.partition(":")
        known = self._batches.get(name)
        if known is None:
            return self.not_found(request)
        if action == "cancel":
            known["state"] = "BATCH_STATE_CANCELLED"
            return json_answer({})
        # A batch is done when it is looked at for the second time.
        known["looks"] += 1
        if known["looks"] >= 2 and known["state"] != "BATCH_STATE_CANCELLED":
            known["state"] = "BATCH_STATE_SUCCEEDED"
        return json_answer(self._batch_value(name))

    def _batch_value(self, name: str) -> dict[str, Any]:
        batch = self._batches[name]
        is_done = batch["state"] == "BATCH_STATE_SUCCEEDED"
        total = str(len(batch["requests"]))
        metadata = {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "name": f"batches/{name}",
            "state": batch["state"],
            "batchStats": {"requestCount": total, "successfulRequestCount": total if is_done else "0"},
        }
        value: dict[str, Any] = {"name": f"batches/{name}", "metadata": metadata}
        if is_done:
            responses = [
                {"response": self.generate(batch["model"], item["request"]), "metadata": item.get("metadata", {})}
                for item in reversed(batch["requests"])
            ]
            value["done"] = True
            metadata["output"] = value["response"] = {"inlinedResponses": {"inlinedResponses": responses}}
        return value

    # ---- Errors

    def error(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Answered:
        error: dict[str, Any] = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN")}
        headers = dict(headers or {})
        seconds = headers.pop("Retry-After", None)
        if seconds is not None:  # told in the body, not in a header
            retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds}s"}
            error["details"] = [retry]
        return json_answer({"error": error}, status, headers)

    def error_frame(self) -> bytes:
        return b'{\r\n  "error": {\r\n    "code": 503,\r\n    "message": "overloaded",\r\n    "status": "UNAVAILABLE"\r\n  }\r\n}\r\n'

    def quota_error(self) -> Answered:
        quota = {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
        }
        error = {"code": 429, "message": "quota exceeded", "status": "RESOURCE_EXHAUSTED", "details": [quota]}
        return json_answer({"error": error}, 429)

    def context_error(self) -> Answered:
        return self.error(400, "The input token count (20) exceeds the maximum number of tokens allowed (10).")
