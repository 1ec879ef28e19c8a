"""Routers, budgets, prices, caches, recordings and logs of taut.ai, and what is left without a network."""

import asyncio
import json
import sqlite3
import time

import pytest

import taut
from ai_support import MARKER, ai, failure, serve, served, shows_key

PRICES = {"date": "2026-11-01", "prices": [{"provider": "openai", "model": "fake-*", "input": 1.0, "output": 2.0}]}


@pytest.fixture
def server():
    with serve("openai") as running:
        yield running


def refusing(kind, **details):
    def answer(messages):
        raise ai.ProviderError("scripted", kind=kind, **details)

    return ai.local(kind, answer)


def echo(name="echo"):
    return ai.local(name, lambda messages: f"{name}: {messages[-1].text}")


# ---- Without a key and without a server


def test_degrades_to_a_function_without_a_key_and_without_a_server(monkeypatch):
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with ai.Client(max_retries=0) as client:
        targets = [
            ai.Target(client.provider(ai.openai()), model="gpt-5-mini"),
            ai.Target(client.provider(ai.anthropic()), model="claude-x"),
            ai.Target(client.provider(ai.compatible("here", "http://127.0.0.1:9/v1")), model="m"),
        ]
        router = ai.Router(targets, last_resort=ai.local("rule", lambda messages: "by rule"), deadline=10)
        start = time.monotonic()
        response = router.chat("anything")
        assert time.monotonic() - start < 10
        assert response.text == "by rule"
        assert response.route.is_degraded and "last resort" in response.warnings[0]
        outcomes = {step.target: (step.outcome, step.reason, step.error) for step in response.route.steps}
        assert outcomes["openai/gpt-5-mini"][:2] == ("left_out", "it has no key")
        assert outcomes["anthropic/claude-x"][:2] == ("left_out", "it has no key")
        assert outcomes["here/m"][0] == "failed" and outcomes["here/m"][2] == "connection"
        assert asyncio.run(router.achat("anything")).text == "by rule"
        assert "".join(event.text for event in router.stream("anything")) == "by rule"
        without = ai.Router(targets)
        error = failure(without.chat, "anything")
        assert error.kind == "no_healthy_provider" and "it has no key" in str(error)


# ---- Routing


def test_falls_back_and_reports(server):
    client, provider = served(server, max_retries=0)
    with client:
        router = ai.Router([provider, echo()], seed=1)
        server.inject("500:1")
        response = router.chat("hi")
        assert response.text == "echo: hi"
        first, second = response.route.steps
        assert (first.outcome, first.error) == ("failed", "server_error")
        assert second.outcome == "answered" and response.route.answered_by == "echo/local"
        assert router.last_report.answered_by == "echo/local"
        assert router.chat("hi").text == "You said: hi"


def test_circuits_open_and_are_reset():
    router = ai.Router([ai.Target(refusing("auth"), name="keyless"), echo()])
    for _ in range(3):
        assert router.chat("x").text == "echo: x"
    status = router.targets()[0]
    assert status.is_open and status.calls == 1 and status.seconds_until_probe > 60
    router.reset("keyless")
    assert not router.targets()[0].is_open
    with pytest.raises(taut.ValueError):
        router.reset("nobody")


def test_weights_are_drawn_by_the_seed():
    def draw():
        targets = [ai.Target(echo("a"), weight=1), ai.Target(echo("b"), weight=3)]
        router = ai.Router(targets, strategy="weighted", seed=7)
        return [router.chat("x").provider for _ in range(60)]

    drawn = draw()
    assert drawn == draw()
    assert 30 < drawn.count("b") < 58


def test_a_slow_target_is_hedged():
    slow = ai.local("slow", lambda messages: time.sleep(0.5) or "slow")
    response = ai.Router([slow, echo()], hedge_after=0.05).chat("x")
    assert response.text == "echo: x"
    assert any(step.is_hedge for step in response.route.steps)


def test_a_broken_stream_begins_anew_where_that_is_allowed(server):
    client, provider = served(server)
    with client:
        server.inject("truncate")
        text, restarts = "", 0
        for event in ai.Router([provider, echo()], restart_streams=True).stream("one two three four"):
            if event.kind == "restart":
                text, restarts = "", restarts + 1
            elif event.kind == "text":
                text += event.text
        assert (text, restarts) == ("echo: one two three four", 1)
        stream = ai.Router([provider, echo()]).stream("one two three four")
        assert failure(list, stream).kind == "truncated_stream"


def test_strategies_that_do_not_exist_are_refused():
    with pytest.raises(taut.ValueError, match="strategy"):
        ai.Router([echo()], strategy="luck")
    with pytest.raises(taut.ValueError, match="no targets"):
        ai.Router([])
    with pytest.raises(taut.ValueError, match="two targets"):
        ai.Router([echo(), echo()])


# ---- Money


def test_prices_and_budgets(server):
    budget = ai.Budget(tokens=10_000, tasks={"labels": ai.Limit(tokens=60)})
    client, provider = served(server, prices=ai.Prices(PRICES), budget=budget)
    with client:
        response = provider.chat("hello", max_tokens=20, task="labels")
        usage = response.usage
        assert response.cost == pytest.approx((usage.input_total + 2 * usage.output_total) * 1e-6)
        assert budget.spent().tokens == usage.total
        assert budget.spent(task="labels").dollars == pytest.approx(response.cost)
        error = failure(provider.chat, "hello", max_tokens=200, task="labels")
        assert error.kind == "budget_exceeded" and "the task labels" in str(error)
        assert provider.chat("hello", max_tokens=200).text
        assert len(server.requests) == 2
    estimate = ai.Prices(PRICES).estimate("openai", "hello", model="fake-model", max_tokens=100)
    assert estimate.output_tokens == 100 and estimate.cost > 0
    with pytest.raises(taut.ValueError, match="date"):
        ai.Prices({"prices": []})


def test_a_cache_that_breaks_hides_no_error_of_a_router(tmp_path):
    path = str(tmp_path / "cache.sqlite")
    router = ai.Router([ai.Target(refusing("connection"), model="m")], cache=ai.Cache(path))
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE answers")
    assert failure(router.chat, "anything").kind == "no_healthy_provider"
    assert failure(lambda: list(router.stream("anything"))).kind == "no_healthy_provider"


def test_a_cache_answers_a_second_time(server, tmp_path):
    cache = ai.Cache(str(tmp_path / "cache.sqlite"))
    client, provider = served(server, cache=cache)
    with client:
        first, second = provider.chat("x"), provider.chat("x")
        assert not first.from_cache and second.from_cache and second.text == first.text
        assert "".join(event.text for event in provider.stream("x")) == first.text
        assert len(server.requests) == 1
        assert cache.statistics()["hits"] == 2
    (tmp_path / "broken").write_bytes(b"x" * 5000)
    with pytest.raises(taut.FormatError):
        ai.Cache(str(tmp_path / "broken"))


def test_recordings_replay_offline(server, tmp_path):
    path = str(tmp_path / "calls.jsonl")
    with ai.Client() as client:
        provider = client.provider(server.config(), model="fake-model", record=path)
        provider.chat("one")
        list(provider.stream("two"))
        server.inject("401")
        failure(provider.chat, "three")
    again = ai.replay(path, model="fake-model")
    assert again.chat("one").text == "You said: one"
    assert "".join(event.text for event in again.stream("two")) == "You said: two"
    assert failure(again.chat, "three").kind == "auth"
    assert failure(again.chat, "four").kind == "not_found"
    assert not shows_key(open(path).read(), MARKER)
    copied = ai.record(again, str(tmp_path / "copy.jsonl"))
    assert copied.chat("one").text == "You said: one"
    assert ai.replay(str(tmp_path / "copy.jsonl"), model="fake-model").chat("one").text == "You said: one"


def test_the_log_has_costs_and_no_texts(server, tmp_path):
    path = tmp_path / "log.jsonl"
    client, provider = served(server, prices=ai.Prices(PRICES), log=ai.CallLog(str(path)))
    with client:
        provider.chat("a secret prompt", task="labels")
        server.inject("400")
        failure(provider.chat, "x")
    good, bad = map(json.loads, path.read_text().splitlines())
    assert good["status"] == "ok" and good["task"] == "labels" and good["cost"] > 0
    assert bad["status"] == "invalid_request"
    assert "secret" not in path.read_text()
