"""The HTTP of fake servers: connections, keys, faults, streams."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ... import ValueError as TautValueError
from ._answers import Answer, Question, Reply, reply_to
from ._faults import Fault, FaultPlan

if TYPE_CHECKING:
    from typing_extensions import Self

    from .._config import ProviderConfig

PROVIDERS = ("openai", "anthropic", "gemini", "xai", "perplexity", "vllm", "ollama", "llama.cpp")

# What a server of this machine takes for a key; it opens nothing.
FAKE_KEY = "fake-key"


@dataclass
class Request:
    """What was asked of a fake server."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]  # names in lower case
    body: bytes = b""

    def json(self) -> Any:
        """The body as Python values."""
        return json.loads(self.body)


@dataclass
class Answered:
    """`body` is one piece, or the pieces of a stream."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answered:
    return Answered(status, json.dumps(value).encode(), headers or {})


def sse(value: Any, event: str = "", end: str = "\n") -> bytes:
    """One server-sent event."""
    text = value if isinstance(value, str) else json.dumps(value)
    name = f"event: {event}{end}" if event else ""
    return f"{name}data: {text}{end}{end}".encode()


def stream_answer(frames: Iterable[bytes], headers: dict[str, str] | None = None) -> Answered:
    return Answered(200, frames, headers or {}, "text/event-stream; charset=utf-8")


class Dialect(ABC):
    """A provider's language. `path_prefix` is what its base URL has behind the host."""

    name = ""
    path_prefix = ""
    key_header = ("authorization", "Bearer ")
    needs_key = True

    def __init__(self, answer: Answer | None = None, models: Iterable[str] = ("fake-model",)) -> None:
        self._answer = answer
        self.models = list(models)
        self._counter = 0
        self._lock = threading.Lock()

    def reply(self, question: Question) -> Reply:
        return reply_to(question, self._answer)

    def number(self) -> int:
        with self._lock:
            self._counter += 1
            return self._counter

    @abstractmethod
    def respond(self, request: Request) -> Answered:
        """What is answered to any request."""

    @abstractmethod
    def error(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Answered:
        """A refusal, as the provider writes one."""

    @abstractmethod
    def error_frame(self) -> bytes:
        """An error inside a stream."""

    @abstractmethod
    def quota_error(self) -> Answered:
        """The quota is used up: waiting does not help."""

    @abstractmethod
    def context_error(self) -> Answered:
        """The prompt has more tokens than the model sees."""

    def not_found(self, request: Request) -> Answered:
        return self.error(404, f"nothing is at {request.path}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HttpServer

    def log_message(self, format: str, *args: Any) -> None:
        if self.server.owner.log is not None:
            self.server.owner.log(f"{self.command} {urlsplit(self.path).path} {args[1] if len(args) > 1 else ''}")

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        split = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        request = Request(
            self.command,
            split.path,
            parse_qs(split.query),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
        )
        owner = self.server.owner
        owner._remember(request)
        fault = owner._plan.next()
        try:
            if fault is not None and fault.name == "disconnect":
                self._reset()
                return
            self._send(owner._answer(request, fault), fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, answered: Answered, fault: Fault | None) -> None:
        self.send_response(answered.status)
        self.send_header("Content-Type", answered.content_type)
        for name, value in answered.headers.items():
            self.send_header(name, value)
        if fault is None and isinstance(answered.body, bytes):
            self.send_header("Content-Length", str(len(answered.body)))
            self.end_headers()
            self.wfile.write(answered.body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        is_stream = not isinstance(answered.body, bytes)
        pieces = [answered.body] if isinstance(answered.body, bytes) else answered.body
        if self._send_pieces(pieces, fault, is_stream):
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def _send_pieces(self, pieces: Iterable[bytes], fault: Fault | None, is_stream: bool) -> bool:
        """Whether the answer has its end."""
        name = "" if fault is None else fault.name
        seconds = None if fault is None else fault.seconds
        if name in ("truncate", "stall", "error-frame"):
            pieces = list(pieces)
        # In its middle: by then something of the answer is there.
        broken_at = len(pieces) // 2 if isinstance(pieces, list) else None
        for number, piece in enumerate(pieces):
            if name == "slow":
                self.server.owner._sleep(0.2 if seconds is None else seconds)
            if number == broken_at and name in ("truncate", "stall"):
                self._chunk(piece[: len(piece) // 2])
                if name == "stall":
                    self.server.owner._sleep(60.0 if seconds is None else seconds)
                return False
            if number == broken_at and name == "error-frame" and is_stream:
                self._chunk(self.server.owner._dialect.error_frame())
                return True
            self._chunk(piece)
        return True

    def _chunk(self, piece: bytes) -> None:
        if piece:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()

    def _reset(self) -> None:
        # Not to linger sends a reset instead of an end in good order.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    owner: FakeServer

    def shutdown_request(self, request: Any) -> None:
        # The base class ends the sending side first, in good order; a connection that is to be reset must not be.
        with contextlib.suppress(OSError):
            linger = request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
            if linger != struct.pack("ii", 1, 0):
                request.shutdown(socket.SHUT_WR)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if self.owner.log is not None:
            super().handle_error(request, client_address)


class FakeServer:
    """A server of one provider's language on this machine. Use it as a context, or close it."""

    def __init__(
        self,
        dialect: Dialect,
        faults: Iterable[str | Fault] = (),
        *,
        port: int = 0,
        key: str = FAKE_KEY,
        log: Any = None,
    ) -> None:
        self._dialect = dialect
        self._plan = FaultPlan(faults)
        self._key = key
        self.log = log  # called with a line for each request
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._ended = threading.Event()
        self._http = _HttpServer(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def provider(self) -> str:
        """Whose language it speaks."""
        return self._dialect.name

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """The base URL of the provider."""
        return f"http://127.0.0.1:{self.port}{self._dialect.path_prefix}"

    @property
    def requests(self) -> list[Request]:
        """What was asked so far."""
        with self._lock:
            return list(self._requests)

    def inject(self, *faults: str | Fault) -> None:
        """Takes these faults instead of those that are left."""
        self._plan = FaultPlan(faults)

    def config(self, **options: Any) -> ProviderConfig:
        """The settings of a provider that is this server."""
        from .. import _config

        options.setdefault("key", self._key if self._dialect.needs_key else None)
        name = self._dialect.name
        if name in ("vllm", "ollama", "llama.cpp"):
            return _config.compatible(name, self.url, server=name, **options)
        factory = getattr(_config, name)
        made: ProviderConfig = factory(base_url=self.url, **options)
        return made

    def close(self) -> None:
        """Ends it and its connections."""
        self._ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Until it is closed."""
        self._ended.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<taut.ai.fake.FakeServer {self.provider} at {self.url}>"

    # ---- For the handler

    def _remember(self, request: Request) -> None:
        with self._lock:
            self._requests.append(request)

    def _sleep(self, seconds: float) -> None:
        self._ended.wait(seconds)

    def _answer(self, request: Request, fault: Fault | None) -> Answered:
        if self._dialect.needs_key:
            header, prefix = self._dialect.key_header
            if request.headers.get(header, "") != prefix + self._key:
                return self._dialect.error(401, "the key is wrong or missing", "invalid_api_key")
        refusal = None if fault is None else self._refusal(fault)
        if refusal is not None:
            return refusal
        try:
            return self._dialect.respond(request)
        except (KeyError, TypeError, ValueError, json.JSONDecodeError) as error:
            return self._dialect.error(400, f"the request makes no sense: {type(error).__name__}: {error}")

    def _refusal(self, fault: Fault) -> Answered | None:
        if fault.status is not None:
            headers = {} if fault.seconds is None else {"Retry-After": f"{fault.seconds:g}"}
            return self._dialect.error(fault.status, "a fault that was asked for", headers=headers)
        if fault.name == "quota":
            return self._dialect.quota_error()
        if fault.name == "context":
            return self._dialect.context_error()
        if fault.name == "html":
            return Answered(502, b"<html><body>Bad gateway</body></html>", {}, "text/html")
        if fault.name == "garbage":
            return Answered(200, b'{"choices": [', {})
        if fault.name == "empty":
            return Answered(200, b"", {})
        return None


def _dialect(provider: str, answer: Answer | None, models: Iterable[str]) -> Dialect:
    from . import _anthropic as anthropic
    from . import _gemini as gemini
    from . import _openai as openai

    kinds: dict[str, type[Dialect]] = {
        "openai": openai.OpenAI,
        "anthropic": anthropic.Anthropic,
        "gemini": gemini.Gemini,
        "xai": openai.XAI,
        "perplexity": openai.Perplexity,
        "vllm": openai.VLLM,
        "ollama": openai.Ollama,
        "llama.cpp": openai.LlamaCpp,
    }
    if provider not in kinds:
        raise TautValueError(f"fake: got '{provider}'; expected one of {', '.join(PROVIDERS)}")
    return kinds[provider](answer, models)


def serve(
    provider: str,
    *,
    faults: Iterable[str | Fault] = (),
    answer: Answer | None = None,
    models: Iterable[str] = ("fake-model",),
    port: int = 0,
    key: str = FAKE_KEY,
    log: Any = None,
) -> FakeServer:
    """Starts a server that speaks as `provider` does. `answer` says what its model says: a function of a Question that
    gives a text or a Reply. Port 0 takes any that is free."""
    return FakeServer(_dialect(provider, answer, models), faults, port=port, key=key, log=log)

