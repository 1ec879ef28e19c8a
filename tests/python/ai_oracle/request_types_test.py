"""Requests against the typed parameters of the vendors' libraries: no field is misspelt, missing or of another type."""

import copy

import pytest

for library in ("openai", "anthropic", "perplexity", "pydantic"):
    pytest.importorskip(library, reason=f"{library} is not there: see requirements.txt beside this file")

import anthropic.types.message_create_params
import openai.types.chat.completion_create_params
import openai.types.embedding_create_params
import openai.types.responses.response_create_params
import perplexity.types.chat.completion_create_params
import pydantic
from strict_types import forbid_other_keys, validate

for package in ("openai.types", "anthropic.types", "perplexity.types"):
    forbid_other_keys(package)

CHAT = openai.types.chat.completion_create_params.CompletionCreateParams
RESPONSES = openai.types.responses.response_create_params.ResponseCreateParams
EMBEDDING = openai.types.embedding_create_params.EmbeddingCreateParams
MESSAGES = anthropic.types.message_create_params.MessageCreateParams
SONAR = perplexity.types.chat.completion_create_params.CompletionCreateParams

# What servers that speak OpenAI's language have beside it.
OWN_FIELDS = {"top_k", "chat_template_kwargs", "return_tokens_as_token_ids"}
OWN_MESSAGE_FIELDS = {"reasoning", "reasoning_content"}


def without(body, fields, message_fields=()):
    body = {key: value for key, value in copy.deepcopy(body).items() if key not in fields}
    for message in body.get("messages", []):
        for field in message_fields:
            message.pop(field, None)
    return body


def named(program, prefix):
    return [line for name, line in program.requests().items() if name.split(".")[0] == prefix]


def test_openai_chat(program):
    lines = [line for line in named(program, "openai") if line["path"] == "/chat/completions"]
    assert len(lines) == 4
    for line in lines:
        validate(CHAT, line["body"])


def test_openai_responses(program):
    lines = named(program, "openai_responses")
    assert len(lines) == 3
    for line in lines:
        validate(RESPONSES, line["body"])


def test_embeddings(program):
    for provider in ("openai", "vllm", "ollama", "llama_cpp", "other"):
        validate(EMBEDDING, program.requests()[f"{provider}.embedding"]["body"])


def test_anthropic(program):
    lines = named(program, "anthropic")
    assert len(lines) == 4
    for line in lines:
        # The version before still has the parameters of sampling; this library knows the new one alone.
        old = {"temperature", "top_p", "top_k"} if "2023" in line["name"] else set()
        validate(MESSAGES, without(line["body"], old))


def test_perplexity(program):
    for call in ("plain", "full", "conversation"):
        body = program.requests()[f"perplexity.{call}"]["body"]
        # The library writes this keyword of JSON Schema in its own language's way.
        for tool in body.get("tools", []):
            parameters = tool["function"]["parameters"]
            parameters["additional_properties"] = parameters.pop("additionalProperties")
        validate(SONAR, body)


@pytest.mark.parametrize("provider", ["xai", "vllm", "ollama", "llama_cpp", "other"])
def test_servers_like_openai(program, provider):
    lines = [line for line in named(program, provider) if line["path"] == "/chat/completions"]
    assert len(lines) >= 3
    for line in lines:
        validate(CHAT, without(line["body"], OWN_FIELDS, OWN_MESSAGE_FIELDS))


def test_the_types_refuse_what_is_wrong(program):
    body = program.requests()["openai.full"]["body"]
    for wrong in ({"temperatur": 1}, {"max_completion_tokens": "x"}, {"messages": [{"role": "user"}]}):
        with pytest.raises(pydantic.ValidationError):
            validate(CHAT, {**body, **wrong})
    body = program.requests()["anthropic.full"]["body"]
    with pytest.raises(pydantic.ValidationError):
        validate(MESSAGES, {**body, "temperature": 0.5})
    with pytest.raises(pydantic.ValidationError):
        validate(MESSAGES, {**body, "messages": [{"role": "user", "content": [{"type": "text", "txt": ""}]}]})
