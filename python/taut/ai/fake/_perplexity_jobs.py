"""Perplexity's jobs: chats that are answered later. One is done when it is looked at for the second time."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from ._server import Answered, Request, json_answer

if TYPE_CHECKING:
    from ._openai import OpenAI

CREATED = 1_790_000_000  # seconds since 1970


class JobStore:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, dict[str, Any]] = {}

    def respond(self, dialect: OpenAI, request: Request, name: str) -> Answered:
        """`name` of a job, or nothing for all of them."""
        with self._lock:
            if request.method == "POST" and not name:
                return json_answer(self._create(request.json()["request"]))
            if request.method == "GET" and not name:
                brief = [{k: v for k, v in self._told(job).items() if k != "response"} for job in self._jobs.values()]
                return json_answer({"requests": brief, "next_token": None})
            if request.method == "GET" and name in self._jobs:
                self._advance(dialect, self._jobs[name])
                return json_answer(self._told(self._jobs[name]))
        return dialect.not_found(request)

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        name = f"job-fake-{len(self._jobs) + 1}"
        self._jobs[name] = {
            "id": name,
            "model": body["model"],
            "created_at": CREATED,
            "status": "CREATED",
            "response": None,
            "error_message": None,
            "body": body,
        }
        return self._told(self._jobs[name])

    @staticmethod
    def _told(job: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in job.items() if key != "body"}

    @staticmethod
    def _advance(dialect: OpenAI, job: dict[str, Any]) -> None:
        if job["status"] == "CREATED":
            job.update(status="IN_PROGRESS", started_at=CREATED + 1)
        elif job["status"] == "IN_PROGRESS":
            answered = dialect.chat(job["body"])
            assert isinstance(answered.body, bytes)
            value = json.loads(answered.body)
            if answered.status == 200:
                job.update(status="COMPLETED", completed_at=CREATED + 2, response=value)
            else:
                job.update(status="FAILED", failed_at=CREATED + 2, error_message=value["error"]["message"])
