"""The vendors' own libraries and taut.ai against the same fake server: answers, errors, and who asks again."""

import base64
import json
import struct

import pytest

for library in ("openai", "anthropic", "perplexity", "google.genai", "taut.ai"):
    pytest.importorskip(library, reason=f"{library} is not there: see requirements.txt beside this file")

from sdk_clients import MODEL, THEIRS, own
from taut import ai
from taut.ai import fake

STATUSES = [400, 401, 403, 404, 413, 422, 429, 500, 503, 529]
# After which of them a library asks again by itself.
TRANSIENT = [429, 500, 502, 503, 504]


@pytest.fixture(params=THEIRS)
def name(request):
    return request.param


def asked(server, call):
    """What a call gave or raised, and how many requests it took."""
    before = len(server.requests)
    try:
        result = call()
    except Exception as error:
        result = error
    return result, len(server.requests) - before


# ---- Answers


def test_answers_and_streams_are_equal(name):
    with fake.serve(name) as server:
        theirs, (client, ours) = THEIRS[name](server), own(server)
        with client:
            answer = ours.chat("Hello", max_tokens=99)
            text = "".join(event.text for event in ours.stream("Hello", max_tokens=99) if event.kind == "text")
            assert answer.text == text == theirs.chat() == theirs.stream() == "You said: Hello"


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "xai"], indirect=True)
def test_lists_of_models_are_equal(name):
    with fake.serve(name, models=["one", "two", "three"]) as server:
        client, ours = own(server)
        with client:
            assert [model.id for model in ours.models()] == THEIRS[name](server).models() == ["one", "two", "three"]


@pytest.mark.parametrize("name", ["openai", "gemini"], indirect=True)
def test_embeddings_are_equal(name):
    with fake.serve(name) as server:
        client, ours = own(server)
        with client:
            theirs = THEIRS[name](server).embed(["one", "two"])
            # Ours come as numbers of 32 bits.
            for mine, other in zip(ours.embed(["one", "two"]).embeddings, theirs):
                assert mine == pytest.approx(other, abs=1e-6)


def test_embeddings_of_eight_bits_and_of_one():
    model = "pplx-embed-v1-0.6b"  # theirs takes the names that it knows
    with fake.serve("perplexity", models=[model]) as server:
        theirs, (client, ours) = THEIRS["perplexity"](server), own(server)
        with client:
            texts = theirs.embed(["one", "two"], model=model)
            for text, numbers in zip(texts, ours.embed(["one", "two"], model=model).embeddings):
                assert numbers == [float(n) for n in struct.unpack("8b", base64.b64decode(text))]
            assert server.requests[-1].json().items() >= {"encoding_format": "base64_int8"}.items()
            (text,) = theirs.embed(["one"], model=model, encoding_format="base64_binary")
            extra = {"encoding_format": "base64_binary"}
            signs = ours.embed("one", model=model, extra=extra).embeddings[0]
            assert "".join("1" if sign > 0 else "0" for sign in signs) == f"{base64.b64decode(text)[0]:08b}"


# ---- Batches


def test_batches_of_openai():
    with fake.serve("openai") as server:
        theirs, (client, ours) = THEIRS["openai"](server).client, own(server)
        with client:
            status = ours.batches.create({"a": "first", "b": "second"})
            batch = theirs.batches.retrieve(status.id)
            assert (batch.id, batch.endpoint) == (status.id, "/v1/chat/completions")
            # What ours has uploaded is a file that theirs reads, line for line.
            lines = theirs.files.content(batch.input_file_id).text.splitlines()
            assert [json.loads(line)["custom_id"] for line in lines] == ["a", "b"]
            status, batch = ours.batches.status(status), theirs.batches.retrieve(status.id)
            assert (status.state, batch.status) == ("done", "completed")
            assert (status.total, status.completed) == (batch.request_counts.total, batch.request_counts.completed)
            results = [json.loads(line) for line in theirs.files.content(batch.output_file_id).text.splitlines()]
            texts = {r["custom_id"]: r["response"]["body"]["choices"][0]["message"]["content"] for r in results}
            assert {r.id: r.response.text for r in ours.batches.results(status)} == texts
            # And what theirs makes, ours can read.
            upload = theirs.files.create(file=("batch.jsonl", "\n".join(lines).encode()), purpose="batch")
            made = theirs.batches.create(
                input_file_id=upload.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            assert ours.batches.status(made.id).total == 2


def test_batches_of_anthropic():
    with fake.serve("anthropic") as server:
        theirs, (client, ours) = THEIRS["anthropic"](server).client, own(server)
        with client:
            made = ours.batches.create({"a": "first", "b": "second"}, max_tokens=99)
            assert theirs.messages.batches.retrieve(made.id).processing_status == "in_progress"
            status, batch = ours.batches.status(made), theirs.messages.batches.retrieve(made.id)
            assert (status.state, batch.processing_status) == ("done", "ended")
            assert status.completed == batch.request_counts.succeeded
            texts = {r.custom_id: r.result.message.content[0].text for r in theirs.messages.batches.results(made.id)}
            assert {r.id: r.response.text for r in ours.batches.results(status)} == texts


def test_batches_of_gemini():
    with fake.serve("gemini") as server:
        theirs, (client, ours) = THEIRS["gemini"](server).client, own(server)
        with client:
            made = ours.batches.create({"a": "first", "b": "second"})
            assert theirs.batches.get(name=made.id).state.value == "JOB_STATE_PENDING"
            status, batch = ours.batches.status(made), theirs.batches.get(name=made.id)
            assert (status.state, batch.state.value) == ("done", "JOB_STATE_SUCCEEDED")
            texts = [item.response.text for item in batch.dest.inlined_responses]
            assert [result.response.text for result in ours.batches.results(status)] == texts


def test_jobs_of_perplexity():
    with fake.serve("perplexity") as server:
        theirs, (client, ours) = THEIRS["perplexity"](server).client, own(server)
        jobs = theirs.async_.chat.completions
        with client:
            request = {"model": MODEL, "messages": [{"role": "user", "content": "first"}]}
            made, own_job = jobs.create(request=request), ours.batches.create({"a": "first"})
            assert server.requests[-1].json() == server.requests[-2].json()
            assert server.requests[-1].path == server.requests[-2].path
            assert [job.id for job in jobs.list().requests] == [made.id, own_job.id]
            for expected in ("IN_PROGRESS", "COMPLETED"):
                assert jobs.get(made.id).status == ours.batches.status(own_job).raw_state == expected
            (result,) = ours.batches.results(ours.batches.status(own_job))
            assert result.response.text == jobs.get(made.id).response.choices[0].message.content


# ---- Errors


@pytest.mark.parametrize("status", STATUSES)
def test_errors_are_equal(name, status):
    with fake.serve(name, faults=[str(status)]) as server:
        theirs, (client, ours) = THEIRS[name](server), own(server)
        with client:
            their_error, their_count = asked(server, theirs.chat)
            error, count = asked(server, lambda: ours.chat("x", max_tokens=9))
            assert isinstance(their_error, theirs.error) and isinstance(error, ai.ProviderError)
            assert error.http_status == theirs.status_of(their_error) == status
            assert their_count == count == 1
            if name == "perplexity" and status == 422:  # a list, of which ours makes a text
                assert "a fault that was asked for" in str(error)
                return
            kind, code, message = theirs.words_of(their_error)
            assert error.vendor_type == kind and error.details["message"] == message
            assert error.vendor_code == code or not code
            given, expected = error.request_id, theirs.request_id_of(their_error) or ""
            assert given.rstrip("0123456789") == expected.rstrip("0123456789")


@pytest.mark.parametrize("fault, kind", [("quota", "quota_exhausted"), ("context", "context_length")])
def test_errors_that_only_ours_tells_apart(name, fault, kind):
    with fake.serve(name, faults=[fault]) as server:
        # Theirs would ask again, and wait before it does.
        theirs, (client, ours) = THEIRS[name](server), own(server, 2)
        with client:
            error, count = asked(server, lambda: ours.chat("x", max_tokens=9))
            assert error.kind == kind and count == 1
            their_error, _ = asked(server, theirs.chat)
            assert theirs.status_of(their_error) == error.http_status
            assert theirs.words_of(their_error)[2] == error.details["message"]


@pytest.mark.parametrize("status", TRANSIENT)
def test_both_ask_again(name, status):
    with fake.serve(name) as server:
        theirs, (client, ours) = THEIRS[name](server, 2), own(server, 2)
        with client:
            for call in (theirs.chat, lambda: ours.chat("Hello", max_tokens=99).text):
                server.inject(f"{status}:1:0.01")
                assert asked(server, call) == ("You said: Hello", 2)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_neither_asks_again(name, status):
    with fake.serve(name) as server:
        theirs, (client, ours) = THEIRS[name](server, 2), own(server, 2)
        with client:
            for call in (theirs.chat, lambda: ours.chat("Hello", max_tokens=99)):
                server.inject(f"{status}:1")
                error, count = asked(server, call)
                assert isinstance(error, (theirs.error, ai.ProviderError)) and count == 1


def test_streams_that_break(name):
    """No library replays what has begun. Theirs may take a part for the whole; ours never does."""
    with fake.serve(name) as server:
        theirs, (client, ours) = THEIRS[name](server, 2), own(server, 2)
        with client:
            server.inject("truncate:1")
            _, their_count = asked(server, theirs.stream)
            server.inject("truncate:1")
            error, count = asked(server, lambda: list(ours.stream("Hello", max_tokens=99)))
            assert their_count == count == 1
            assert error.kind == "truncated_stream" and error.partial_output


@pytest.mark.parametrize("name", ["openai", "anthropic", "xai"], indirect=True)
def test_errors_inside_streams(name):
    with fake.serve(name) as server:
        theirs, (client, ours) = THEIRS[name](server, 2), own(server, 2)
        with client:
            server.inject("error-frame:1")
            their_error, their_count = asked(server, theirs.stream)
            server.inject("error-frame:1")
            error, count = asked(server, lambda: list(ours.stream("Hello", max_tokens=99)))
            assert their_count == count == 1
            said = their_error.body.get("error", their_error.body)
            assert error.details["message"] == said["message"] and error.vendor_type == said["type"]
