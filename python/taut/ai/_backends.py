"""Whatever answers a chat: a provider, a router, a recording, a function of one's own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from . import _requests, _responses
from ._calls import _ai, await_call, wait
from ._errors import ProviderError, to_json
from ._requests import ChatOptions, Messages
from ._types import (
    BatchResult,
    BatchStatus,
    Candidate,
    ChatResponse,
    EmbeddingResponse,
    Message,
    ModelInfo,
    StreamEvent,
    Text,
)

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class _Stream:
    def __init__(self, handle: _ai.Stream, backend: Backend) -> None:
        self._handle = handle
        self._backend = backend  # and with it the client, whose end would be that of the stream

    @property
    def response(self) -> ChatResponse:
        """What has arrived so far: the whole answer after the last event. Kept after an error, too."""
        return _responses.chat_response(self._handle.response())

    def cancel(self) -> None:
        """Ends it: what was not taken yet is dropped."""
        self._handle.cancel()


class ChatStream(_Stream):
    """An answer that arrives piece by piece: iterate over its events. The server waits while nobody does."""

    def __iter__(self) -> Iterator[StreamEvent]:
        return self

    def __next__(self) -> StreamEvent:
        text = wait(self._handle.next_event())
        if text is None:
            raise StopIteration
        return _responses.event(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()


class AsyncChatStream(_Stream):
    """The same in an event loop: `async for event in stream`."""

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        text = await await_call(self._handle.next_event())
        if text is None:
            raise StopAsyncIteration
        return _responses.event(text)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cancel()


class Backend:
    """Answers chats. Calls without an `a` in front wait; those with one are for event loops."""

    def __init__(self, handle: _ai.Backend, model: str = "", needs: object = None) -> None:
        self._handle = handle
        self._needs = needs  # what has to live as long: a client, or other backends
        self.model = model  # where a call names none

    @property
    def name(self) -> str:
        """How errors, reports and budgets call it."""
        return self._handle.name

    @property
    def is_ready(self) -> bool:
        """Whether it has what it needs to be asked: a provider without its key has not."""
        return self._handle.is_ready

    def __repr__(self) -> str:
        model = f", model={self.model!r}" if self.model else ""
        return f"<taut.ai.{type(self).__name__} {self.name!r}{model}>"

    def chat(self, messages: Messages, **options: Unpack[ChatOptions]) -> ChatResponse:
        """An answer to a text, to messages (Message objects or dicts in OpenAI's form)."""
        return _responses.chat_response(wait(self._chat(messages, options)))

    async def achat(self, messages: Messages, **options: Unpack[ChatOptions]) -> ChatResponse:
        """The same as chat, for an event loop."""
        return _responses.chat_response(await await_call(self._chat(messages, options)))

    def stream(self, messages: Messages, **options: Unpack[ChatOptions]) -> ChatStream:
        """The answer piece by piece."""
        return ChatStream(self._handle.stream(_requests.chat_text(messages, options, self.model)), self)

    def astream(self, messages: Messages, **options: Unpack[ChatOptions]) -> AsyncChatStream:
        """The same as stream, for an event loop."""
        return AsyncChatStream(self._handle.stream(_requests.chat_text(messages, options, self.model)), self)

    def embed(self, inputs: str | Sequence[str], **options: Any) -> EmbeddingResponse:
        """Vectors of texts, in their order. Options: model, dimensions, task_type, extra, deadline, task."""
        return _responses.embedding_response(wait(self._embed(inputs, options)))

    async def aembed(self, inputs: str | Sequence[str], **options: Any) -> EmbeddingResponse:
        """The same as embed, for an event loop."""
        return _responses.embedding_response(await await_call(self._embed(inputs, options)))

    def capabilities(self, model: str = "") -> dict[str, Any]:
        """What is known of a model: 'yes', 'no' or 'unknown' for each feature, and its limits."""
        value: dict[str, Any] = json.loads(self._handle.capabilities(model or self.model))
        return value

    def _chat(self, messages: Messages, options: Mapping[str, Any]) -> _ai.Call:
        return self._handle.chat(_requests.chat_text(messages, options, self.model))

    def _embed(self, inputs: str | Sequence[str], options: Mapping[str, Any]) -> _ai.Call:
        value = {name: option for name, option in options.items() if option is not None}
        value["inputs"] = [inputs] if isinstance(inputs, str) else list(inputs)
        value.setdefault("model", self.model)
        if "extra" in value:
            value["extra"] = json.dumps(value["extra"])
        return self._handle.embed(json.dumps(value))


class Batches:
    """Requests that the provider answers within a day, for less money."""

    def __init__(self, provider: _ai.Provider, model: str, client: object) -> None:
        self._provider = provider
        self._model = model
        self._client = client

    def create(self, items: Mapping[str, Messages], **options: Unpack[ChatOptions]) -> BatchStatus:
        """One request for each name, all with the same options."""
        return _responses.batch_status(wait(self._create(items, options)))

    async def acreate(self, items: Mapping[str, Messages], **options: Unpack[ChatOptions]) -> BatchStatus:
        """The same as create, for an event loop."""
        return _responses.batch_status(await await_call(self._create(items, options)))

    def status(self, batch: str | BatchStatus) -> BatchStatus:
        """How far a batch has come, by its id or an earlier status."""
        return _responses.batch_status(wait(self._provider.batch(_id(batch))))

    async def astatus(self, batch: str | BatchStatus) -> BatchStatus:
        """The same as status, for an event loop."""
        return _responses.batch_status(await await_call(self._provider.batch(_id(batch))))

    def cancel(self, batch: str | BatchStatus) -> BatchStatus:
        """Calls a batch off; what is done already stays."""
        return _responses.batch_status(wait(self._provider.cancel_batch(_id(batch))))

    async def acancel(self, batch: str | BatchStatus) -> BatchStatus:
        """The same as cancel, for an event loop."""
        return _responses.batch_status(await await_call(self._provider.cancel_batch(_id(batch))))

    def results(self, status: BatchStatus) -> list[BatchResult]:
        """Of a batch that is done, in any order."""
        return _responses.batch_results(wait(self._results(status)))

    async def aresults(self, status: BatchStatus) -> list[BatchResult]:
        """The same as results, for an event loop."""
        return _responses.batch_results(await await_call(self._results(status)))

    def _create(self, items: Mapping[str, Messages], options: Mapping[str, Any]) -> _ai.Call:
        made = [
            {"id": name, "request": _requests.chat_value(messages, options, self._model)}
            for name, messages in items.items()
        ]
        return self._provider.create_batch(json.dumps({"items": made}))

    def _results(self, status: BatchStatus) -> _ai.Call:
        return self._provider.batch_results(
            json.dumps({name: value for name, value in asdict(status).items() if value is not None})
        )


def _id(batch: str | BatchStatus) -> str:
    return batch if isinstance(batch, str) else batch.id


class Provider(Backend):
    """One provider of a client."""

    def __init__(self, provider: _ai.Provider, handle: _ai.Backend, model: str, client: object) -> None:
        super().__init__(handle, model, client)
        self._provider = provider
        self.batches = Batches(provider, model, client)

    def models(self) -> list[ModelInfo]:
        """All models, where the provider lists them."""
        return _responses.models(wait(self._provider.models()))

    async def amodels(self) -> list[ModelInfo]:
        """The same as models, for an event loop."""
        return _responses.models(await await_call(self._provider.models()))


def _given_response(given: ChatResponse | str, name: str) -> dict[str, Any]:
    if isinstance(given, str):
        given = ChatResponse(provider=name, candidates=[Candidate([Text(given)], finish_reason="stop")])
    if not isinstance(given, ChatResponse):
        raise TypeError(f"local: got {type(given).__name__}; expected a text or a ChatResponse")
    candidates = [
        {
            "parts": [_requests._part(part) for part in candidate.parts],
            "refusal": candidate.refusal,
            "finish_reason": candidate.finish_reason,
            "raw_finish_reason": candidate.raw_finish_reason,
        }
        for candidate in given.candidates
    ]
    return {
        "id": given.id,
        "model": given.model,
        "provider": given.provider or name,
        "candidates": candidates,
        "usage": {key: value for key, value in asdict(given.usage).items() if value is not None},
        "citations": [asdict(citation) for citation in given.citations],
        "cost": given.cost,
        "warnings": given.warnings,
    }


def local(name: str, answer: Callable[[list[Message]], ChatResponse | str], model: str = "local") -> Backend:
    """A backend that needs no network: `answer` gets the messages, on a thread of its own, and gives a text or a
    ChatResponse. What it raises is the call's error; raise ProviderError to choose its kind."""

    def answer_text(request: str) -> tuple[bool, str]:
        try:
            given = answer(_requests.request_value_to_messages(json.loads(request)))
            return True, json.dumps(_given_response(given, name))
        except Exception as error:
            return False, to_json(error)

    return Backend(_ai.local_backend(name, answer_text), model)


def record(backend: Backend, path: str) -> Backend:
    """The backend, with every call that ends added to a file of JSON lines, without keys."""
    return Backend(_ai.recorded(backend._handle, path), backend.model, backend)


def replay(path: str, *, name: str = "", repeats: bool = True, model: str = "") -> Backend:
    """Answers from such a file, without a network. What was not recorded is a ProviderError, not_found."""
    return Backend(_ai.replayed(path, name, repeats), model)


__all__ = [
    "AsyncChatStream",
    "Backend",
    "Batches",
    "ChatStream",
    "Provider",
    "ProviderError",
    "local",
    "record",
    "replay",
]
