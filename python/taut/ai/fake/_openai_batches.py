"""OpenAI's files and batches: a batch is done when it is looked at for the second time."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

from ._server import Answered, Request, json_answer

if TYPE_CHECKING:
    from ._openai import OpenAI


def file_of(request: Request) -> bytes:
    """The part called "file" of a multipart form."""
    boundary = re.search(r'boundary="?([^";]+)', request.headers.get("content-type", ""))
    if boundary is None:
        raise ValueError("a file has to come as a multipart form")
    for part in request.body.split(b"--" + boundary.group(1).encode()):
        head, separator, content = part.partition(b"\r\n\r\n")
        if separator and re.search(rb'name="?file"?', head):
            return content[: -len(b"\r\n")] if content.endswith(b"\r\n") else content
    raise ValueError("the form has no file")


class BatchStore:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, dict[str, Any]] = {}

    def respond(self, dialect: OpenAI, request: Request, path: str) -> Answered:
        parts = path.strip("/").split("/")
        with self._lock:
            if parts[0] == "files":
                return self._file(dialect, request, parts)
            return self._batch(dialect, request, parts)

    def _keep(self, content: bytes) -> str:
        name = f"file-fake-{len(self._files) + 1}"
        self._files[name] = content
        return name

    def _file(self, dialect: OpenAI, request: Request, parts: list[str]) -> Answered:
        if request.method == "POST" and len(parts) == 1:
            content = file_of(request)
            name = self._keep(content)
            return json_answer({"id": name, "object": "file", "bytes": len(content), "purpose": "batch"})
        if request.method == "GET" and len(parts) == 3 and parts[2] == "content" and parts[1] in self._files:
            return Answered(200, self._files[parts[1]], {}, "application/jsonl")
        return dialect.not_found(request)

    def _batch(self, dialect: OpenAI, request: Request, parts: list[str]) -> Answered:
        if request.method == "POST" and len(parts) == 1:
            return json_answer(self._create(request.json()))
        batch = self._batches.get(parts[1]) if len(parts) > 1 else None
        if batch is None:
            return dialect.not_found(request)
        if request.method == "POST" and parts[2:] == ["cancel"]:
            if batch["status"] != "completed":
                batch["status"] = "cancelled"
            return json_answer(batch)
        if request.method == "GET" and len(parts) == 2:
            self._advance(dialect, batch)
            return json_answer(batch)
        return dialect.not_found(request)

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        lines = self._files[body["input_file_id"]].splitlines()
        name = f"batch_fake_{len(self._batches) + 1}"
        self._batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": body["endpoint"],
            "input_file_id": body["input_file_id"],
            "completion_window": body["completion_window"],
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        }
        return self._batches[name]

    def _advance(self, dialect: OpenAI, batch: dict[str, Any]) -> None:
        if batch["status"] == "validating":
            batch["status"] = "in_progress"
            return
        if batch["status"] != "in_progress":
            return
        good: list[str] = []
        bad: list[str] = []
        for line in self._files[batch["input_file_id"]].splitlines():
            item = json.loads(line)
            answered = dialect.chat(item["body"])
            assert isinstance(answered.body, bytes)
            response = {"status_code": answered.status, "request_id": "req_fake", "body": json.loads(answered.body)}
            result = {"id": f"br_{item['custom_id']}", "custom_id": item["custom_id"], "response": response, "error": None}
            (good if answered.status == 200 else bad).append(json.dumps(result))
        batch["status"] = "completed"
        # Results come in any order.
        batch["output_file_id"] = self._keep("\n".join(reversed(good)).encode() + b"\n") if good else None
        batch["error_file_id"] = self._keep("\n".join(bad).encode() + b"\n") if bad else None
        batch["request_counts"].update(completed=len(good), failed=len(bad))
