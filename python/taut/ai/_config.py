"""Where a provider is and how it is spoken to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Union

from ._calls import _ai

Key = Union[str, Callable[[], str], None]


class ProviderConfig:
    """Made by openai(), anthropic(), gemini(), xai(), perplexity() or compatible(). Its key is never shown."""

    def __init__(self, handle: _ai.ProviderConfig) -> None:
        self._handle = handle

    @property
    def name(self) -> str:
        """How errors, reports and budgets call it."""
        return self._handle.name

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return self._handle.base_url

    @property
    def has_key(self) -> bool:
        """Whether there is a key now; a function that gives one is trusted, and not asked."""
        return self._handle.has_key

    def __repr__(self) -> str:
        key = "with a key" if self.has_key else "without a key"
        return f"<taut.ai.ProviderConfig {self.name!r} at {self.base_url!r}, {key}>"

    def __reduce__(self) -> Any:
        raise TypeError("a ProviderConfig cannot be copied or pickled: its key would be, too")


# Options that are fields of the C++ config by the same name.
_FIELDS = (
    "name base_url api_version organization project beta allows_http requests_per_minute tokens_per_minute max_concurrent"
).split()


def _made(
    handle: _ai.ProviderConfig,
    key: Key,
    key_file: str | None,
    key_environment: str | None,
    options: Mapping[str, Any],
) -> ProviderConfig:
    if sum(source is not None for source in (key, key_file, key_environment)) > 1:
        raise TypeError("provider: expected one of key, key_file and key_environment")
    if key is not None:
        handle.set_key(key)
    elif key_file is not None:
        handle.set_key_file(key_file)
    elif key_environment is not None:
        handle.set_key_environment(key_environment)
    for name, value in options.items():
        if value is None:
            continue
        if name == "headers":
            handle.headers = list(value.items())
        elif name == "extra_body":
            handle.extra_body = json.dumps(value)
        elif name == "capabilities":
            for model, known in value.items():
                handle.add_capabilities(model, json.dumps(known))
        elif name in _FIELDS:
            setattr(handle, name, value)
        else:
            raise TypeError(f"provider: unknown option '{name}'")
    return ProviderConfig(handle)


_OPTIONS = """

    The key is a text or a function that is asked for it each time (key), the first line of a file that only its owner may
    read (key_file), or another variable of the environment (key_environment). Options: name, base_url, headers (a dict),
    extra_body (fields of every request), capabilities ({model: {feature: "yes" | "no"}}), requests_per_minute,
    tokens_per_minute, max_concurrent, allows_http.
    """


def openai(
    *,
    api: str = "chat",
    key: Key = None,
    key_file: str | None = None,
    key_environment: str | None = None,
    **options: Any,
) -> ProviderConfig:
    """OpenAI, with its key from OPENAI_API_KEY; `api` is chat or responses. Options, too: organization, project."""
    return _made(_ai.ProviderConfig.openai(api), key, key_file, key_environment, options)


def anthropic(
    *, key: Key = None, key_file: str | None = None, key_environment: str | None = None, **options: Any
) -> ProviderConfig:
    """Anthropic, with its key from ANTHROPIC_API_KEY. Options, too: api_version, beta (a list)."""
    return _made(_ai.ProviderConfig.anthropic(), key, key_file, key_environment, options)


def gemini(
    *, key: Key = None, key_file: str | None = None, key_environment: str | None = None, **options: Any
) -> ProviderConfig:
    """Google's Gemini, with its key from GOOGLE_API_KEY or GEMINI_API_KEY. Options, too: api_version."""
    return _made(_ai.ProviderConfig.gemini(), key, key_file, key_environment, options)


def xai(
    *,
    api: str = "chat",
    key: Key = None,
    key_file: str | None = None,
    key_environment: str | None = None,
    **options: Any,
) -> ProviderConfig:
    """xAI's Grok, with its key from XAI_API_KEY; `api` is chat or responses."""
    return _made(_ai.ProviderConfig.xai(api), key, key_file, key_environment, options)


def perplexity(
    *, key: Key = None, key_file: str | None = None, key_environment: str | None = None, **options: Any
) -> ProviderConfig:
    """Perplexity, with its key from PERPLEXITY_API_KEY."""
    return _made(_ai.ProviderConfig.perplexity(), key, key_file, key_environment, options)


def compatible(
    name: str,
    base_url: str,
    *,
    server: str = "other",
    key: Key = None,
    key_file: str | None = None,
    key_environment: str | None = None,
    **options: Any,
) -> ProviderConfig:
    """Any server that speaks OpenAI's chat completions; `server` is vllm, ollama, llama.cpp or other."""
    handle = _ai.ProviderConfig.compatible(name, base_url, server)
    return _made(handle, key, key_file, key_environment, options)


for _factory in (openai, anthropic, gemini, xai, perplexity, compatible):
    _factory.__doc__ = (_factory.__doc__ or "") + _OPTIONS
