"""What conversations and answers are made of."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, Union


@dataclass
class Text:
    """A part of a message that is a text."""

    text: str


@dataclass
class Image:
    """A picture: at an address (https or data:), or as the bytes of a file."""

    url: str = ""
    data: bytes = field(default=b"", repr=False)
    media_type: str = ""  # of `data`: image/png ...
    detail: str = ""  # low, high or auto


@dataclass
class ToolCall:
    """What the model wants a function called with."""

    name: str
    arguments: str = ""  # JSON text, as the model wrote it: it may be wrong
    id: str = ""
    signature: str = field(default="", repr=False)

    def parse(self) -> Any:
        """The arguments as Python values. Raises json.JSONDecodeError where the model wrote no JSON."""
        return json.loads(self.arguments or "{}")


@dataclass
class ToolResult:
    """What that function gave."""

    call_id: str
    content: str
    name: str = ""
    is_error: bool = False


@dataclass
class Reasoning:
    """What the model thought. It goes back unchanged where a conversation goes on."""

    text: str = ""
    signature: str = field(default="", repr=False)
    redacted: str = field(default="", repr=False)


Part = Union[Text, Image, ToolCall, ToolResult, Reasoning]


@dataclass
class Message:
    """A turn of a conversation: `role` is system, user, assistant or tool; `content` a text or parts."""

    role: str
    content: str | list[Part]

    @property
    def text(self) -> str:
        """Its texts, one after the other."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, Text))


@dataclass
class Tool:
    """A function that the model may ask to have called; `parameters` is a JSON Schema of an object."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool = False


@dataclass
class Usage:
    """Tokens of a call; None: the provider did not tell."""

    input_total: int | None = None
    input_cached: int | None = None
    input_cache_write: int | None = None
    output_total: int | None = None
    output_reasoning: int | None = None
    total: int | None = None
    cost: float | None = None  # US dollars, as the provider tells it
    partial: bool = False  # the true numbers are not lower


@dataclass
class TokenLogprob:
    """A token and the natural logarithm of its probability; NaN where the provider gives none."""

    token: str
    logprob: float = math.nan
    bytes: bytes | None = None
    token_id: int | None = None
    top: list[TokenLogprob] = field(default_factory=list)


@dataclass
class Citation:
    """A source that the answer names."""

    url: str = ""
    title: str = ""
    date: str = ""
    text: str = ""


@dataclass
class Candidate:
    """One of the answers that were asked for."""

    parts: list[Part] = field(default_factory=list)
    refusal: str = ""
    finish_reason: str = "unknown"  # stop, length, tool_calls, content_filter, paused, error or unknown
    raw_finish_reason: str = ""
    logprobs: list[TokenLogprob] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its texts, one after the other, without the reasoning."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def reasoning(self) -> str:
        """What the model thought, where the provider tells it."""
        return "".join(part.text for part in self.parts if isinstance(part, Reasoning))

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The functions that are to be called."""
        return [part for part in self.parts if isinstance(part, ToolCall)]


@dataclass
class RouteStep:
    """One target that a router considered; `outcome` is left_out, answered, failed or called_off."""

    target: str
    model: str
    outcome: str
    reason: str = ""
    error: str = ""
    started: float = 0.0
    seconds: float = 0.0
    cost: float | None = None
    is_hedge: bool = False
    is_probe: bool = False


@dataclass
class RouteReport:
    """How a router came to its answer."""

    router: str
    task: str = ""
    steps: list[RouteStep] = field(default_factory=list)
    answered_by: str = ""
    from_cache: bool = False
    is_degraded: bool = False  # no target could answer: the cache or the last resort did
    seconds: float = 0.0
    cost: float | None = None


@dataclass
class ChatResponse:
    """An answer, in words that are the same for all providers."""

    model: str = ""
    provider: str = ""
    candidates: list[Candidate] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    citations: list[Citation] = field(default_factory=list)
    cost: float | None = None  # US dollars; None: not known
    id: str = ""
    request_id: str = ""
    warnings: list[str] = field(default_factory=list)
    attempts: int = 1
    seconds: float = 0.0
    seconds_to_first: float = 0.0
    from_cache: bool = False
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    raw: str = field(default="", repr=False)  # the body as it came; empty for a stream
    route: RouteReport | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The text of the first candidate."""
        return self.candidates[0].text if self.candidates else ""

    @property
    def reasoning(self) -> str:
        """The thoughts of the first candidate."""
        return self.candidates[0].reasoning if self.candidates else ""

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The functions that the first candidate wants called."""
        return self.candidates[0].tool_calls if self.candidates else []

    @property
    def finish_reason(self) -> str:
        """Why the first candidate ended."""
        return self.candidates[0].finish_reason if self.candidates else "unknown"

    @property
    def message(self) -> Message:
        """The answer as the next message of the conversation."""
        return Message("assistant", list(self.candidates[0].parts) if self.candidates else [])

    def parse(self) -> Any:
        """The text as JSON. Raises json.JSONDecodeError where it is none."""
        return json.loads(self.text)


@dataclass
class StreamEvent:
    """A piece of an answer.

    `kind` is text, reasoning or refusal (more of it: `text`), tool_call (`call`: its arguments are those that are new),
    citation, usage, finish (`finish_reason`) or restart (another provider begins anew: forget what came before).
    """

    kind: str
    text: str = ""
    candidate: int = 0
    call_index: int = 0
    call: ToolCall | None = None
    logprobs: list[TokenLogprob] = field(default_factory=list)
    citation: Citation | None = None
    usage: Usage | None = None
    finish_reason: str = ""


@dataclass
class EmbeddingResponse:
    """Vectors, in the order of the texts."""

    embeddings: list[list[float]] = field(repr=False)
    model: str = ""
    provider: str = ""
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    request_id: str = ""
    attempts: int = 1
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass
class ModelInfo:
    """A model of a provider's list."""

    id: str
    owner: str = ""
    created: int | None = None  # seconds since 1970
    context_length: int | None = None  # tokens
    max_output_tokens: int | None = None
    raw: str = field(default="", repr=False)


@dataclass
class BatchStatus:
    """`state` is waiting, running, done, failed, cancelled or expired."""

    id: str
    state: str
    raw_state: str = ""
    total: int | None = None
    completed: int | None = None
    failed: int | None = None
    output: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in ("waiting", "running")


@dataclass
class BatchResult:
    """The answer to one item of a batch: a response or an error."""

    id: str
    response: ChatResponse | None = None
    error: Exception | None = None
