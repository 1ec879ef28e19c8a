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

from typing import Any

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
