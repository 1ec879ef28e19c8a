"""What the tests of taut.ai share."""

import subprocess
import sys

import pytest

pytest.importorskip("taut._ai", reason="this build has no AI clients")

from taut import ai  # noqa: E402
from taut.ai import fake  # noqa: E402

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = ai.Tool("weather", "Tells the weather.", SCHEMA)


def served(server, **options):
    """A client and a provider for a fake server."""
    client = ai.Client(**{"max_retries": 2, "seed": 1, **options})
    return client, client.provider(server.config(), model="fake-model")


def failure(function, *arguments, **options):
    with pytest.raises(ai.ProviderError) as caught:
        function(*arguments, **options)
    return caught.value


def command(*words, input=None, env=None):
    return subprocess.run(
        [sys.executable, "-m", "taut.ai", *words], capture_output=True, text=True, timeout=60, input=input, env=env
    )


def run(code, timeout=60):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout)


__all__ = ["SCHEMA", "WEATHER", "ai", "command", "failure", "fake", "run", "served"]
