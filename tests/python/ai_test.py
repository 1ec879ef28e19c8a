"""taut.ai against fake servers: every provider, blocking, asynchronous and streaming."""

import asyncio
import copy
import gc
import json
import pickle
import threading
import time

import pytest

import taut
from ai_support import MARKER, OTHER_MARKER, SCHEMA, WEATHER, ai, failure, fake, serve, served, shows_key

WITH_MODEL_LISTS = [name for name in fake.PROVIDERS if name != "perplexity"]
WITH_EMBEDDINGS = [name for name in fake.PROVIDERS if name != "anthropic"]


@pytest.fixture(params=fake.PROVIDERS)
def server(request):
    with serve(request.param, models=["fake-model", "second"]) as running:
        yield running


@pytest.fixture
def provider(server):
    client, made = served(server)
    with client:
        yield made


@pytest.fixture
def openai_server():
    with serve("openai") as running:
        yield running


@pytest.fixture
def plain_server():
    """Whose key may stand in a file."""
    with fake.serve("openai") as running:
        yield running


# ---- Every provider


def test_chat(provider):
    response = provider.chat("hello world", max_tokens=100)
    assert response.text == "You said: hello world"
    assert response.finish_reason == "stop"
    assert response.usage.input_total > 0 and response.usage.output_total > 0
    assert response.attempts == 1
    assert response.raw and response.headers


def test_stream(provider):
    stream = provider.stream("one two three", max_tokens=100)
    events = list(stream)
    texts = [event.text for event in events if event.kind == "text"]
    assert "".join(texts) == "You said: one two three"
    assert len(texts) > 1
    assert events[-1].kind in ("finish", "usage")
    assert stream.response.text == "You said: one two three"
    assert stream.response.usage.output_total > 0 and not stream.response.usage.partial


def test_a_client_lives_as_long_as_what_was_made_with_it(openai_server):
    def provider():
        return ai.Client().provider(openai_server.config(), model="fake-model")

    stream = provider().stream("one two three")
    router = ai.Router([provider()])
    batches = provider().batches
    gc.collect()
    assert "".join(event.text for event in stream if event.kind == "text") == "You said: one two three"
    assert router.chat("one").text == "You said: one"
    assert batches.create({"a": "one"}).id


def test_async_chat_and_stream(provider):
    async def main():
        responses = await asyncio.gather(*(provider.achat(f"number {i}", max_tokens=100) for i in range(8)))
        assert [response.text for response in responses] == [f"You said: number {i}" for i in range(8)]
        async with provider.astream("a b c", max_tokens=100) as stream:
            return "".join([event.text async for event in stream if event.kind == "text"])

    assert asyncio.run(main()) == "You said: a b c"


def test_tools_and_their_results(provider):
    first = provider.chat("use weather", tools=[WEATHER], max_tokens=100)
    assert first.finish_reason == "tool_calls"
    (call,) = first.tool_calls
    assert call.name == "weather" and call.parse() == {"city": "text"} and call.id
    stream = provider.stream("use weather", tools=[WEATHER], max_tokens=100)
    pieces = [event.call.arguments for event in stream if event.kind == "tool_call"]
    assert json.loads("".join(pieces)) == {"city": "text"}
    assert stream.response.tool_calls[0].parse() == {"city": "text"}
    conversation = [
        ai.Message("user", "use weather"),
        first.message,
        ai.Message("tool", [ai.ToolResult(call.id, "sunny", call.name)]),
    ]
    assert "sunny" in provider.chat(conversation, tools=[WEATHER], max_tokens=100).text


def test_a_schema_of_the_answer(provider):
    assert provider.chat("x", response_format=SCHEMA, max_tokens=100).parse() == {"city": "text"}


def test_the_system_prompt_reaches_the_server(server, provider):
    provider.chat([{"role": "system", "content": "be brief"}, {"role": "user", "content": "x"}], max_tokens=9)
    assert b"be brief" in server.requests[-1].body


def test_an_answer_that_is_cut(provider):
    response = provider.chat("long " * 30, max_tokens=5)
    assert response.finish_reason == "length"


@pytest.mark.parametrize(
    "fault, kind",
    [
        ("400", "invalid_request"),
        ("401", "auth"),
        ("403", "permission"),
        ("404", "not_found"),
        ("413", "request_too_large"),
        ("quota", "quota_exhausted"),
        ("context", "context_length"),
    ],
)
def test_refusals_are_not_repeated(server, provider, fault, kind):
    server.inject(fault)
    error = failure(provider.chat, "x", max_tokens=9)
    assert error.kind == kind
    assert error.attempts == 1 and len(server.requests) == 1
    assert error.provider == server.provider and error.model == "fake-model"


@pytest.mark.parametrize("fault", ["429:2:0.01", "500:2", "503:2", "529:2", "html:2"])
def test_what_passes_is_tried_again(server, provider, fault):
    server.inject(fault)
    assert provider.chat("x", max_tokens=9).attempts == 3
    server.inject(fault)
    assert [event.text for event in provider.stream("x", max_tokens=9) if event.kind == "text"]


def test_a_connection_that_breaks_is_made_again(server, provider):
    server.inject("disconnect:1")
    assert provider.chat("x", max_tokens=9).text == "You said: x"


@pytest.mark.parametrize("fault", ["garbage", "empty"])
def test_answers_that_make_no_sense(server, provider, fault):
    server.inject(fault)
    assert failure(provider.chat, "x", max_tokens=9).kind == "malformed_response"


@pytest.mark.parametrize("fault, kind", [("truncate", "truncated_stream"), ("error-frame", None)])
def test_streams_that_break_are_errors_and_never_replayed(server, provider, fault, kind):
    server.inject(fault)
    stream = provider.stream("one two three four five six", max_tokens=100)
    error = failure(list, stream)
    assert kind is None or error.kind == kind
    assert len(server.requests) == 1
    assert len(stream.response.text) < len("You said: one two three four five six")


def test_a_stream_that_falls_silent(server):
    client, provider = served(server, idle_timeout=0.2, first_byte_timeout=5)
    with client:
        server.inject("stall::10")
        assert failure(list, provider.stream("one two three", max_tokens=100)).kind == "timeout_idle"


@pytest.mark.parametrize("name", WITH_MODEL_LISTS)
def test_models(name):
    with serve(name, models=["fake-model", "second", "third"]) as server:
        client, provider = served(server)
        with client:
            assert [model.id for model in provider.models()] == ["fake-model", "second", "third"]


@pytest.mark.parametrize("name", WITH_EMBEDDINGS)
def test_embeddings(name):
    with serve(name) as server:
        client, provider = served(server)
        with client:
            response = provider.embed(["a", "b", "a"])
            assert len(response.embeddings) == 3 and len(response.embeddings[0]) == 8
            assert response.embeddings[0] == response.embeddings[2] != response.embeddings[1]
            assert asyncio.run(provider.aembed("a")).embeddings[0] == response.embeddings[0]


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "xai"])
def test_batches(name):
    with serve(name) as server:
        client, provider = served(server)
        with client:
            status = provider.batches.create({"a": "first", "b": "second", "c": "third"}, max_tokens=50)
            assert not status.is_over
            provider.batches.status(status)
            status = provider.batches.status(status)
            assert status.state == "done" and status.is_over
            results = {result.id: result.response.text for result in provider.batches.results(status)}
            assert results == {"a": "You said: first", "b": "You said: second", "c": "You said: third"}


@pytest.mark.parametrize("name", ["openai", "anthropic", "xai"])
def test_batches_that_are_called_off(name):
    with fake.serve(name) as server:
        client, provider = served(server)
        with client:
            status = provider.batches.create({"a": "first"}, max_tokens=50)
            provider.batches.cancel(status)
            assert provider.batches.status(status).is_over


def test_jobs_of_perplexity_are_batches_of_one():
    with fake.serve("perplexity") as server:
        client, provider = served(server)
        with client:
            status = provider.batches.create({"a": "first"}, max_tokens=50)
            assert status.state == "waiting"
            provider.batches.status(status)
            status = provider.batches.status(status)
            assert [result.response.text for result in provider.batches.results(status)] == ["You said: first"]
            assert failure(provider.batches.create, {"a": "first", "b": "second"}).kind == "invalid_request"
            assert failure(provider.batches.cancel, status).kind == "unsupported_parameter"


def test_embeddings_of_signs():
    with fake.serve("perplexity") as server:
        client, provider = served(server)
        with client:
            numbers = provider.embed("a").embeddings[0]
            signs = provider.embed("a", extra={"encoding_format": "base64_binary"}).embeddings[0]
            assert signs == [1.0 if number > 0 else -1.0 for number in numbers]


@pytest.mark.parametrize("name", ["openai", "xai"])
def test_the_responses_api(name):
    with serve(name) as server, ai.Client() as client:
        provider = client.provider(server.config(api="responses"), model="fake-model")
        assert provider.chat("hello").text == "You said: hello"
        assert "".join(event.text for event in provider.stream("hello") if event.kind == "text") == "You said: hello"
        assert provider.chat("use weather", tools=[WEATHER]).tool_calls[0].parse() == {"city": "text"}
        assert server.requests[-1].path == "/v1/responses"


def test_costs_that_providers_report():
    for name in ("xai", "perplexity"):
        with serve(name) as server:
            client, provider = served(server)
            with client:
                response = provider.chat("x")
                assert response.cost == pytest.approx(response.usage.total * 1e-6)


def test_logprobs(openai_server):
    client, provider = served(openai_server)
    with client:
        token = provider.chat("x", logprobs=True, top_logprobs=2).candidates[0].logprobs[0]
        assert token.logprob == pytest.approx(-0.6931, abs=1e-3)
        assert len(token.top) == 2 and token.bytes == token.token.encode()


# ---- Waiting, cancelling, threads


def test_many_threads(openai_server):
    client, provider = served(openai_server)
    texts = []
    with client:
        threads = [
            threading.Thread(target=lambda i=i: texts.append(provider.chat(f"{i}").text)) for i in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(texts) == sorted(f"You said: {i}" for i in range(16))
        assert client.statistics()["completed"] == 16


def test_an_event_loop_goes_on_while_a_call_waits(openai_server):
    client, provider = served(openai_server)
    openai_server.inject("slow:1:0.3")

    async def main():
        call = asyncio.create_task(provider.achat("x"))
        ticks = 0
        while not call.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    with client:
        assert asyncio.run(main()) > 5


def test_cancelling_a_task_cancels_the_call(openai_server):
    client, provider = served(openai_server)
    openai_server.inject("slow::5")

    async def main():
        call = asyncio.create_task(provider.achat("x"))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(provider.achat("x"), 0.1)

    with client:
        start = time.monotonic()
        asyncio.run(main())
        assert time.monotonic() - start < 3
        assert client.statistics()["cancelled"] == 2


def test_a_deadline(openai_server):
    client, provider = served(openai_server)
    openai_server.inject("slow::5")
    with client:
        start = time.monotonic()
        assert failure(provider.chat, "x", deadline=0.2).kind == "timeout_total"
        assert time.monotonic() - start < 3


def test_a_closed_client_ends_its_calls(openai_server):
    client, provider = served(openai_server)
    openai_server.inject("slow::5")
    errors = []
    thread = threading.Thread(target=lambda: errors.append(failure(provider.chat, "x")))
    thread.start()
    time.sleep(0.2)
    client.close()
    thread.join(5)
    assert errors[0].kind == "cancelled"
    assert failure(provider.chat, "x").kind == "cancelled"
    with pytest.raises(taut.ValueError, match="closed"):
        client.provider(openai_server.config())


# ---- What is given


def test_messages_in_all_forms(openai_server):
    client, provider = served(openai_server)
    with client:
        for messages in (
            "hi",
            {"role": "user", "content": "hi"},
            ai.Message("user", "hi"),
            [ai.Message("user", [ai.Text("h"), ai.Text("i")])],
            [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            [{"role": "developer", "content": "x"}, {"role": "user", "content": "hi"}],
        ):
            assert provider.chat(messages).text == "You said: hi"


def test_what_makes_no_sense_is_refused(openai_server):
    client, provider = served(openai_server)
    with client:
        with pytest.raises(TypeError, match="unknown option 'max_token'"):
            provider.chat("x", max_token=1)
        with pytest.raises(taut.ValueError, match="role"):
            provider.chat([{"role": "boss", "content": "x"}])
        with pytest.raises(taut.ValueError, match="an integer"):
            provider.chat("x", max_tokens="many")
        with pytest.raises(taut.ValueError, match="no model"):
            client.provider(openai_server.config()).chat("x")
        for wrong in (
            {"role": "user", "content": [{"type": "text"}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "tool_calls": [{"id": "1"}]},
            {"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]},
        ):
            with pytest.raises(taut.ValueError, match="there is no '(text|url|function|name)'"):
                provider.chat([wrong])
        with pytest.raises(taut.ValueError, match="tools: there is no 'name'; got 'description'"):
            provider.chat("hello", tools=[{"description": "nameless"}])
        with pytest.raises(taut.ValueError, match="response_format: there is no 'json_schema'"):
            provider.chat("hello", response_format={"type": "json_schema"})
        with pytest.raises(taut.ValueError, match="response_format"):
            provider.chat("x", response_format="yaml")
        with pytest.raises(TypeError, match="unknown option 'keys'"):
            ai.openai(keys="x")
        with pytest.raises(taut.ValueError):
            ai.compatible("x", "http://localhost/v1", server="apache")
        assert openai_server.requests == []


def test_keys_are_never_shown(openai_server, tmp_path):
    config = openai_server.config(key=OTHER_MARKER)
    client = ai.Client()
    provider = client.provider(config, model="fake-model")
    error = failure(provider.chat, "x")
    assert error.kind == "auth"
    texts = [repr(config), str(vars(config)), repr(client), repr(provider), repr(error), str(error.details)]
    assert not any(shows_key(text, OTHER_MARKER) for text in texts), texts
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copied(config)
    client.close()


def test_traces_hold_no_key(server):
    lines = []
    client, provider = served(server, trace=lines.append, max_retries=0)
    with client:
        provider.chat("the prompt", max_tokens=9)
        list(provider.stream("the prompt", max_tokens=9))
        server.inject("401:1")
        failure(provider.chat, "the prompt", max_tokens=9)
    text = "\n".join(lines)
    assert "] > POST /" in text and "] < HTTP/1.1 200" in text and "bytes of a body" in text
    assert "the prompt" not in text
    assert not shows_key(text, MARKER)


def test_a_trace_that_raises_ends_nothing(openai_server, monkeypatch):
    seen = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: seen.append(unraisable.exc_type))

    def broken(line):
        raise RuntimeError(line)

    client, provider = served(openai_server, trace=broken)
    with client:
        assert provider.chat("x").text == "You said: x"
    assert seen and set(seen) == {RuntimeError}


def test_keys_from_functions_files_and_variables(plain_server, tmp_path, monkeypatch):
    path = tmp_path / "key"
    path.write_text("fake-key\n")
    path.chmod(0o600)
    monkeypatch.setenv("MY_KEY", "fake-key")
    for source in ({"key": lambda: "fake-key"}, {"key_file": str(path)}, {"key_environment": "MY_KEY"}):
        with ai.Client() as client:
            config = ai.openai(base_url=plain_server.url, **source)
            assert config.has_key
            assert client.provider(config, model="fake-model").chat("x").text == "You said: x"

    def broken():
        raise RuntimeError("no key today")

    with ai.Client() as client:
        provider = client.provider(ai.openai(base_url=plain_server.url, key=broken), model="fake-model")
        with pytest.raises(taut.Error):
            provider.chat("x")
    path.chmod(0o644)
    with pytest.raises(taut.ValueError):
        ai.openai(key_file=str(path))
    with pytest.raises(TypeError, match="one of"):
        ai.openai(key="a", key_file=str(path))


def test_errors_are_taut_errors_and_can_be_pickled():
    error = ai.ProviderError("no", kind="overloaded", retry_after=3.0)
    assert isinstance(error, taut.Error) and isinstance(error, RuntimeError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.kind, again.retry_after) == ("no", "overloaded", 3.0)
    with pytest.raises(TypeError, match="colour"):
        ai.ProviderError("no", colour="red")
