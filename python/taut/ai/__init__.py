"""One client for the AI providers OpenAI, Anthropic, Gemini, xAI, Perplexity and every compatible server.

    import taut.ai

    client = taut.ai.Client()
    openai = client.provider(taut.ai.openai(), model="gpt-5-mini")  # its key from OPENAI_API_KEY
    print(openai.chat("Why is the sky blue?").text)
    for event in openai.stream("Tell me a story."):
        print(event.text, end="")

No tensors are needed for it, and none are made. Every call has an asynchronous twin: `achat`, `astream` ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import fake as fake
    from ._accounts import Budget as Budget
    from ._accounts import Cache as Cache
    from ._accounts import CallLog as CallLog
    from ._accounts import Estimate as Estimate
    from ._accounts import Limit as Limit
    from ._accounts import Prices as Prices
    from ._accounts import Spending as Spending
    from ._backends import AsyncChatStream as AsyncChatStream
    from ._backends import Backend as Backend
    from ._backends import Batches as Batches
    from ._backends import ChatStream as ChatStream
    from ._backends import Provider as Provider
    from ._backends import local as local
    from ._backends import record as record
    from ._backends import replay as replay
    from ._client import Client as Client
    from ._config import ProviderConfig as ProviderConfig
    from ._config import anthropic as anthropic
    from ._config import compatible as compatible
    from ._config import gemini as gemini
    from ._config import openai as openai
    from ._config import perplexity as perplexity
    from ._config import xai as xai
    from ._errors import ProviderError as ProviderError
    from ._requests import ChatOptions as ChatOptions
    from ._router import Router as Router
    from ._router import Target as Target
    from ._router import TargetStatus as TargetStatus
    from ._types import BatchResult as BatchResult
    from ._types import BatchStatus as BatchStatus
    from ._types import Candidate as Candidate
    from ._types import ChatResponse as ChatResponse
    from ._types import Citation as Citation
    from ._types import EmbeddingResponse as EmbeddingResponse
    from ._types import Image as Image
    from ._types import Message as Message
    from ._types import ModelInfo as ModelInfo
    from ._types import Reasoning as Reasoning
    from ._types import RouteReport as RouteReport
    from ._types import RouteStep as RouteStep
    from ._types import StreamEvent as StreamEvent
    from ._types import Text as Text
    from ._types import TokenLogprob as TokenLogprob
    from ._types import Tool as Tool
    from ._types import ToolCall as ToolCall
    from ._types import ToolResult as ToolResult
    from ._types import Usage as Usage

_HOMES = {
    "_accounts": "Budget Cache CallLog Estimate Limit Prices Spending",
    "_backends": "AsyncChatStream Backend Batches ChatStream Provider local record replay",
    "_client": "Client",
    "_config": "ProviderConfig anthropic compatible gemini openai perplexity xai",
    "_errors": "ProviderError",
    "_requests": "ChatOptions",
    "_router": "Router Target TargetStatus",
    "_types": (
        "BatchResult BatchStatus Candidate ChatResponse Citation EmbeddingResponse Image Message ModelInfo Reasoning "
        "RouteReport RouteStep StreamEvent Text TokenLogprob Tool ToolCall ToolResult Usage"
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    import importlib

    if name == "fake":
        return importlib.import_module(".fake", __name__)
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'taut.ai' has no attribute '{name}'")
    value = getattr(importlib.import_module("." + home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*_HOME_OF, "fake"})
