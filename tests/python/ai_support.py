"""What the tests of taut.ai share."""

import functools
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("taut._ai", reason="this build has no AI clients")

from taut import ai  # noqa: E402
from taut.ai import fake  # noqa: E402

LETTERS = "ghjkmnpqrstvwxyz"  # as in tests/ai/marker_key.cpp


def _marker():
    """A key that no other run uses: tests/ai/search_for_keys.py looks for it in everything that a run has written."""
    folder = os.environ.get("TAUT_TEST_AI_RUN")
    return "".join(secrets.choice(LETTERS) for _ in range(40)) if folder is None else (Path(folder) / "marker").read_text().strip()


MARKER = _marker()
OTHER_MARKER = "".join(LETTERS[(LETTERS.index(letter) + 1) % len(LETTERS)] for letter in MARKER)
serve = functools.partial(fake.serve, key=MARKER)
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




def shows_key(text, key):
    return any(key[i : i + 8] in text for i in range(len(key) - 7))


__all__ = ["MARKER", "OTHER_MARKER", "SCHEMA", "WEATHER", "ai", "command", "failure", "fake", "run", "serve", "served", "shows_key"]
