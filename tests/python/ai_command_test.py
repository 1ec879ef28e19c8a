"""The command line of taut.ai, and how it and programs end."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ai_support import ai, command, fake, run, served

BARE = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_AUTH_TOKEN"))}


@pytest.fixture
def server():
    with fake.serve("openai", models=["fake-model", "second"]) as running:
        yield running


@pytest.fixture
def words(server, tmp_path):
    """Options that lead to the server, with its key in a file."""
    path = tmp_path / "key"
    path.write_text("fake-key\n")
    path.chmod(0o600)
    return ["--base-url", server.url, "--key-file", str(path)]


def test_help_tells_all_commands():
    text = command("--help").stdout
    for name in ("check", "chat", "models", "cost", "serve-fake"):
        assert name in text
        assert command(name, "--help").returncode == 0


def test_words_that_make_no_sense():
    for wrong in (["sing"], ["chat"], ["chat", "nobody", "-m", "x"], ["models", "openai", "extra"]):
        done = command(*wrong, env=BARE)
        assert done.returncode == 2 and "usage" in done.stderr, wrong


def test_chat(words):
    assert command("chat", "openai", *words, "-m", "fake-model", "hello there").stdout == "You said: hello there\n"
    done = command("chat", "openai", *words, "-m", "fake-model", "--no-stream", "-v", input="from a pipe")
    assert done.stdout == "You said: from a pipe\n" and "tokens in" in done.stderr
    assert command("chat", "openai", *words, "-m", "fake-model", input="").returncode != 0


def test_models(words):
    assert command("models", "openai", *words).stdout == "fake-model\nsecond\n"


def test_errors_have_one_line_and_a_code(server, words):
    server.inject("401")
    done = command("models", "openai", *words)
    assert done.returncode == 1 and "auth" in done.stderr and done.stderr.count("\n") == 1
    assert "fake-key" not in done.stderr + done.stdout
    assert command("chat", "openai", "-m", "x", "hi", env=BARE).returncode == 1
    assert "--base-url" in command("models", "ollama").stderr


def test_check(words):
    done = command("check", "openai", *words)
    assert done.returncode == 0 and "2 models" in done.stdout
    done = command("check", "openai", *words, "-m", "fake-model")
    assert "fake-model answered" in done.stdout
    done = command("check", env=BARE)
    assert done.returncode == 0 and done.stdout.count("no key") == 5
    assert command("check", "openai", env=BARE).returncode == 1


def test_cost(server, tmp_path):
    path = str(tmp_path / "log.jsonl")
    prices = {"date": "d", "prices": [{"model": "fake-model", "input": 1000, "output": 1000}]}
    client, provider = served(server, log=ai.CallLog(path))
    with client:
        provider.chat("a", task="one")
        provider.chat("b", task="two")
        server.inject("400")
        with pytest.raises(ai.ProviderError):
            provider.chat("c", task="two")
    (tmp_path / "prices.json").write_text(json.dumps(prices))
    done = command("cost", path, "--by", "task", "--json")
    sums = json.loads(done.stdout)
    assert sums["one"]["calls"] == 1 and sums["one"]["unknown_cost"] == 1
    assert sums["two"] == {**sums["two"], "calls": 2, "failures": 1}
    table = command("cost", path, "--prices", str(tmp_path / "prices.json")).stdout
    assert "openai/fake-model" in table and table.splitlines()[-1].split()[-1] == "0"
    (tmp_path / "bad").write_text("{}\n")
    done = command("cost", str(tmp_path / "bad"))
    assert done.returncode == 1 and "bad:1" in done.stderr
    assert command("cost", str(tmp_path / "none")).returncode == 1


def test_serve_fake():
    process = subprocess.Popen(
        [sys.executable, "-m", "taut.ai", "serve-fake", "ollama", "--fault", "429:1", "-q"], stdout=subprocess.PIPE, text=True
    )
    try:
        url = process.stdout.readline().split(" at ")[1].split(",")[0]
        done = command("chat", "ollama", "--base-url", url, "-m", "fake-model", "hello")
        assert done.stdout == "You said: hello\n", done.stderr
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert command("serve-fake", "openai", "--fault", "nonsense").returncode == 1


# ---- Programs


def test_import_taut_does_not_load_the_clients():
    code = "import sys, taut; print('taut._ai' in sys.modules); import taut.ai; print(taut.ai.Client is not None)"
    assert run(code).stdout.split() == ["False", "True"]


def test_control_c_ends_a_call(server):
    server.inject("slow::30")
    code = f"""
import taut.ai
with taut.ai.Client() as client:
    provider = client.provider(taut.ai.openai(base_url={server.url!r}, key="fake-key"), model="fake-model")
    print("asking", flush=True)
    try:
        provider.chat("x")
    except KeyboardInterrupt:
        print("interrupted", client.statistics()["cancelled"])
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "asking\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert out == "interrupted 1\n"


def test_a_program_that_ends_with_calls_under_way_ends(server):
    server.inject("slow::30")
    code = f"""
import asyncio, threading, time, taut.ai
client = taut.ai.Client()
provider = client.provider(taut.ai.openai(base_url={server.url!r}, key=lambda: "fake-key"), model="fake-model")
local = taut.ai.local("local", lambda messages: time.sleep(0.5) or "late")
threading.Thread(target=lambda: provider.chat("x"), daemon=True).start()
threading.Thread(target=lambda: local.chat("x"), daemon=True).start()
stream = provider.stream("y")
pending = provider._chat("z", {{}})
pending.on_done(lambda: print("told"))
time.sleep(0.2)
print("leaving", flush=True)
"""
    start = time.monotonic()
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert "leaving" in done.stdout
    assert time.monotonic() - start < 15


def test_objects_that_go_while_their_threads_run():
    code = """
import gc, time, taut.ai
for _ in range(20):
    slow = taut.ai.local("slow", lambda messages: time.sleep(0.01) or "x")
    router = taut.ai.Router([slow], hedge_after=0.001)
    call = router._chat("x", {})
    call.on_done(lambda: None)
    del slow, router, call
    gc.collect()
print("done")
"""
    assert run(code).stdout == "done\n"
