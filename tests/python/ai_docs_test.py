"""The table of docs/guide/ai_providers.md says what the code does, and taut.ai is typed."""

import subprocess
import sys
from pathlib import Path

import pytest

from ai_support import ai

ROOT = Path(__file__).resolve().parents[2]
FACTORIES = {
    "OpenAI": lambda: ai.openai(key="x"),
    "Anthropic": lambda: ai.anthropic(key="x"),
    "Gemini": lambda: ai.gemini(key="x"),
    "xAI": lambda: ai.xai(key="x"),
    "Perplexity": lambda: ai.perplexity(key="x"),
}
WORDS = {"yes": "yes", "no": "no", "?": "unknown"}


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_the_table_of_providers_is_true():
    lines = (ROOT / "docs/guide/ai_providers.md").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| feature |"))
    columns = cells(lines[start])[1:]
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        feature, *answers = cells(line)
        rows[feature.strip("`")] = [WORDS[answer] for answer in answers]
    assert len(columns) == 9
    with ai.Client() as client:
        for column, title in enumerate(columns):
            name, _, model = title.replace("`", "").partition(" ")
            factory = FACTORIES.get(name) or (lambda: ai.compatible(name, "http://localhost/v1", server=name))
            known = client.provider(factory()).capabilities(model or "any")
            told = {feature: answers[column] for feature, answers in rows.items()}
            assert told == {feature: answer for feature, answer in known.items() if answer in WORDS.values()}, title


PROGRAM = """
import taut.ai

client = taut.ai.Client(budget=taut.ai.Budget(dollars=1.0))
provider = client.provider(taut.ai.openai(key="x"), model="m")
response: taut.ai.ChatResponse = provider.chat("hi", max_tokens=5, temperature=0.5)
text: str = response.text
router = taut.ai.Router([provider, taut.ai.Target(provider, model="n", weight=2.0)], strategy="weighted")
for event in router.stream("hi"):
    kind: str = event.kind
"""


def test_mypy_accepts_a_program_and_refuses_a_wrong_one(tmp_path):
    pytest.importorskip("mypy")

    def check(text):
        (tmp_path / "program.py").write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", str(tmp_path / "program.py")],
            capture_output=True,
            text=True,
        )

    done = check(PROGRAM)
    assert done.returncode == 0, done.stdout
    done = check(PROGRAM + 'provider.chat("hi", max_tokens="five")\nnumber: int = response.text\n')
    assert done.returncode == 1 and done.stdout.count("error:") == 2, done.stdout
