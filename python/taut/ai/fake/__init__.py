"""Servers that speak the languages of the AI providers, for tests, examples and work without a network.

    with taut.ai.fake.serve("openai", faults=["429:2"]) as server:
        provider = taut.ai.Client().provider(server.config(), model="fake-model")
        provider.chat("hello").text  # 'You said: hello', after two refusals

They listen on this machine alone. `python -m taut.ai serve-fake openai` runs one by itself.
"""

from __future__ import annotations

from ._answers import Question as Question
from ._answers import Reply as Reply
from ._faults import FAULTS as FAULTS
from ._faults import Fault as Fault
from ._server import PROVIDERS as PROVIDERS
from ._server import FakeServer as FakeServer
from ._server import Request as Request
from ._server import serve as serve

__all__ = ["FAULTS", "PROVIDERS", "FakeServer", "Fault", "Question", "Reply", "Request", "serve"]
