"""Gemini's requests against those that Google's own library sends for the same calls."""

import base64
import json

import pytest

for library in ("google.genai",):
    pytest.importorskip(library, reason=f"{library} is not there: see requirements.txt beside this file")

from google import genai
from google.genai import types

MODEL = "gemini-3-pro-preview"
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "at": {"type": "string"}},
    "required": ["city", "at"],
    "additionalProperties": False,
}
NOTHING = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
ANSWER = {
    "type": "object",
    "properties": {
        "sky": {"type": "string", "minLength": 1},
        "degrees": {"oneOf": [{"type": "number"}, {"type": "null"}]},
    },
    "required": ["sky", "degrees"],
    "additionalProperties": False,
}


@pytest.fixture
def client(server):
    server.body = json.dumps({"candidates": [], "embeddings": [{"values": [1.0]}, {"values": [1.0]}]}).encode()
    return genai.Client(api_key="KEY", http_options=types.HttpOptions(base_url=server.url))


# What stands in these is the caller's, and none of the protocol's names.
OF_THE_CALLER = {"parametersJsonSchema", "responseJsonSchema", "args", "response"}


def camel_case(key):
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)


def canonical(body):
    """With names in camel case (the servers take both), one spelling of base64, and no role of the instructions."""
    if isinstance(body, list):
        return [canonical(value) for value in body]
    if not isinstance(body, dict):
        return body
    named = {camel_case(key): value for key, value in body.items()}
    named = {key: value if key in OF_THE_CALLER else canonical(value) for key, value in named.items()}
    if "systemInstruction" in named:
        named["systemInstruction"].pop("role", None)
    for key in ("data", "thoughtSignature"):
        if key in named:
            named[key] = named[key].replace("-", "+").replace("_", "/")
    return named


def compare(server, line):
    path, headers, body = server.seen[-1]
    assert path == line["path"]
    lower = {name.lower(): value for name, value in headers.items()}
    assert lower["x-goog-api-key"] == line["headers"]["x-goog-api-key"]
    assert canonical(json.loads(body)) == canonical(line["body"])


def test_plain(program, server, client):
    client.models.generate_content(
        model=MODEL, contents="Hello, wörld", config=types.GenerateContentConfig(max_output_tokens=64)
    )
    compare(server, program.requests()["gemini.plain"])


def test_full(program, server, client):
    config = types.GenerateContentConfig(
        system_instruction="Answer briefly.",
        max_output_tokens=200,
        temperature=0.1,
        top_p=0.9,
        top_k=40,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        seed=7,
        stop_sequences=["END", "STOP"],
        candidate_count=2,
        response_logprobs=True,
        logprobs=3,
        response_mime_type="application/json",
        response_json_schema=ANSWER,
        thinking_config=types.ThinkingConfig(thinking_level="LOW"),
        tools=[
            types.Tool(
                function_declarations=[
                    types.FunctionDeclaration(
                        name="get_weather", description="The weather of a city.", parameters_json_schema=WEATHER
                    ),
                    types.FunctionDeclaration(name="get_time", parameters_json_schema=NOTHING),
                ]
            )
        ],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["get_weather"])
        ),
    )
    server.content_type = "text/event-stream"
    server.body = b'data: {"candidates":[]}\r\n\r\n'
    list(client.models.generate_content_stream(model=MODEL, contents="Weather?", config=config))
    compare(server, program.requests()["gemini.full"])


def test_conversation(program, server, client):
    call = {"city": "Oslo", "at": "noon"}
    contents = [
        types.Content(
            role="user",
            parts=[
                types.Part(text="What is this?"),
                types.Part(inline_data=types.Blob(mime_type="image/png", data=b"\x89PNG\r\n\x1a\n")),
                types.Part(file_data=types.FileData(file_uri="https://example.org/cat.jpg")),
            ],
        ),
        types.Content(
            role="model",
            parts=[
                types.Part(text="Two pictures.", thought=True, thought_signature=base64.b64decode("EqsF")),
                types.Part(text="Let me see."),
                types.Part(
                    function_call=types.FunctionCall(id="call_a", name="get_weather", args=call),
                    thought_signature=base64.b64decode("EqsG"),
                ),
                types.Part(
                    function_call=types.FunctionCall(id="call_b", name="get_weather", args={**call, "city": "Rome"})
                ),
            ],
        ),
        types.Content(
            role="user",
            parts=[
                types.Part(
                    function_response=types.FunctionResponse(id="call_a", name="get_weather", response={"sky": "grey"})
                ),
                types.Part(
                    function_response=types.FunctionResponse(
                        id="call_b", name="get_weather", response={"error": "There is no Rome."}
                    )
                ),
                types.Part(text="And now?"),
            ],
        ),
    ]
    config = types.GenerateContentConfig(
        system_instruction="Answer briefly.",
        max_output_tokens=64,
        tools=[
            types.Tool(
                function_declarations=[
                    types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER)
                ]
            )
        ],
    )
    client.models.generate_content(model=MODEL, contents=contents, config=config)
    compare(server, program.requests()["gemini.conversation"])


def test_embedding(program, server, client):
    client.models.embed_content(
        model="gemini-embedding-001",
        contents=["one", "two"],
        config=types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=8),
    )
    compare(server, program.requests()["gemini.embedding"])
