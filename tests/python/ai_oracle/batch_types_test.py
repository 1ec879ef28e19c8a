"""Batches, jobs and embeddings against the typed parameters and answers of the vendors' libraries."""

import json

import pytest

for library in ("openai", "anthropic", "perplexity", "google.genai", "taut.ai"):
    pytest.importorskip(library, reason=f"{library} is not there: see requirements.txt beside this file")

import anthropic.types.messages.batch_create_params
import openai.types.batch_create_params
import perplexity.types.async_.chat.completion_create_params
import perplexity.types.embedding_create_params
from golden_files import GOLDEN
from perplexity.types.async_.chat.completion_get_response import CompletionGetResponse
from perplexity.types.embedding_create_response import EmbeddingCreateResponse
from sdk_clients import own
from strict_types import forbid_other_keys, validate
from taut.ai import fake

for package in ("openai.types", "anthropic.types", "perplexity.types"):
    forbid_other_keys(package)

CREATE = {
    "openai": openai.types.batch_create_params.BatchCreateParams,
    "anthropic": anthropic.types.messages.batch_create_params.BatchCreateParams,
    "perplexity": perplexity.types.async_.chat.completion_create_params.CompletionCreateParams,
}


@pytest.mark.parametrize("name", CREATE)
def test_requests_for_batches(name):
    with fake.serve(name) as server:
        client, ours = own(server)
        with client:
            ours.batches.create({"a": "first"}, max_tokens=50, response_format={"type": "object", "properties": {}})
            validate(CREATE[name], server.requests[-1].json())


def test_requests_for_embeddings_of_perplexity():
    parameters = perplexity.types.embedding_create_params.EmbeddingCreateParams
    model = "pplx-embed-v1-4b"
    with fake.serve("perplexity", models=[model]) as server:
        client, ours = own(server)
        with client:
            for extra in (None, {"encoding_format": "base64_binary"}):
                ours.embed(["one", "two"], model=model, dimensions=128, extra=extra)
                validate(parameters, server.requests[-1].json())


@pytest.mark.parametrize("file", ["job.json", "job_failed.json"])
def test_jobs_of_perplexity(file):
    CompletionGetResponse.model_validate(json.loads((GOLDEN / "perplexity" / file).read_text()), strict=True)


def test_embeddings_of_perplexity():
    value = json.loads((GOLDEN / "perplexity" / "embeddings_int8.json").read_text())
    EmbeddingCreateResponse.model_validate(value, strict=True)
