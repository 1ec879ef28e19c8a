"""xAI's own library, which speaks gRPC, beside taut.ai, which speaks REST: the same requests, the same answers."""

import json
import urllib.request

import pytest

for library in ("grpc", "xai_sdk", "taut.ai"):
    pytest.importorskip(library, reason=f"{library} is not there: see requirements.txt beside this file")

import grpc
import xai_sdk
import xai_server
from golden_files import GOLDEN
from google.protobuf import json_format
from taut import ai
from taut.ai import fake
from xai_sdk import chat as sdk
from xai_sdk.proto import batch_pb2, chat_pb2, sample_pb2

MODEL = "grok-3"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FINISH = {"REASON_STOP": "stop", "REASON_MAX_LEN": "length", "REASON_TOOL_CALLS": "tool_calls"}


class Pair:
    """One script for both servers, and a client for each."""

    def __init__(self):
        self.grpc = xai_server.Server(json.dumps)
        self.rest = fake.serve("xai", models=[MODEL], answer=lambda question: self.reply)
        self.theirs = xai_sdk.Client(api_key="KEY", api_host=self.grpc.address, use_insecure_channel=True)
        self._client = ai.Client(max_retries=2, seed=1)
        self.reply = fake.Reply("nothing")
        self.ours = self._client.provider(self.rest.config(), model=MODEL)

    def script(self, **reply):
        self.reply = fake.Reply(**{"input_tokens": 12, "output_tokens": 9, **reply})
        self.grpc.chat.reply = self.reply

    def asked_of_theirs(self):
        return self.grpc.chat.seen[-1][0]

    def asked_of_ours(self):
        return self.rest.requests[-1].json()

    def close(self):
        self._client.close()
        self.theirs.close()
        self.rest.close()
        self.grpc.close()


@pytest.fixture
def pair(monkeypatch):
    for name in ("GRPC_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "grpc_proxy", "XAI_API_HOST"):
        monkeypatch.delenv(name, raising=False)
    made = Pair()
    yield made
    made.close()


# ---- Answers

SCRIPTS = {
    "text": {"text": "Grey skies over Oslo."},
    "reasoning": {"text": "Four.", "reasoning": "Two and two.", "reasoning_tokens": 5},
    "cut": {"text": "A long", "is_cut": True},
    "calls": {"tool_calls": [("weather", {"city": "Oslo"}), ("weather", {"city": "Ærø"})]},
    "citations": {"text": "As told [1].", "citations": ["https://example.org/1", "https://example.org/2"]},
}


def compare(theirs, ours):
    assert ours.text == theirs.content
    assert ours.candidates[0].reasoning == theirs.reasoning_content
    assert [(call.id, call.name, call.parse()) for call in ours.tool_calls] == [
        (call.id, call.function.name, json.loads(call.function.arguments)) for call in theirs.tool_calls
    ]
    assert ours.finish_reason == FINISH[theirs.finish_reason]
    assert ours.model == theirs.proto.model
    usage = theirs.usage
    assert ours.usage.input_total == usage.prompt_tokens
    assert ours.usage.output_total == usage.completion_tokens + usage.reasoning_tokens
    assert ours.usage.output_reasoning == usage.reasoning_tokens
    assert ours.usage.total == usage.total_tokens
    assert ours.usage.cost == pytest.approx(theirs.cost_usd)


def compare_logprobs(theirs, ours):
    assert [entry.token for entry in ours] == [entry.token for entry in theirs]
    for mine, other in zip(ours, theirs):
        # Theirs are numbers of 32 bits.
        assert mine.logprob == pytest.approx(other.logprob) and mine.bytes == other.bytes
        assert [top.token for top in mine.top] == [top.token for top in other.top_logprobs]
        assert [top.logprob for top in mine.top] == pytest.approx([top.logprob for top in other.top_logprobs])


@pytest.mark.parametrize("name", SCRIPTS)
def test_whole_answer(pair, name):
    pair.script(**SCRIPTS[name])
    theirs = pair.theirs.chat.create(MODEL, messages=[sdk.user("Hello")]).sample()
    ours = pair.ours.chat("Hello")
    compare(theirs, ours)
    assert [citation.url for citation in ours.citations] == list(theirs.citations)


@pytest.mark.parametrize("name", SCRIPTS)
def test_stream(pair, name):
    pair.script(**SCRIPTS[name])
    pieces, theirs = [], None
    for theirs, chunk in pair.theirs.chat.create(MODEL, messages=[sdk.user("Hello")]).stream():
        pieces += [chunk.content] if chunk.content else []
    stream = pair.ours.stream("Hello")
    events = list(stream)
    assert [event.text for event in events if event.kind == "text"] == pieces
    compare(theirs, stream.response)


def test_logprobs(pair):
    pair.script(text="Grey skies over Oslo.")
    theirs = pair.theirs.chat.create(MODEL, messages=[sdk.user("Hello")], logprobs=True, top_logprobs=3).sample()
    ours = pair.ours.chat("Hello", logprobs=True, top_logprobs=3)
    compare_logprobs(theirs.logprobs.content, ours.candidates[0].logprobs)


def test_logprobs_of_a_stream(pair):
    pair.script(text="Grey skies over Oslo.")
    entries = []
    chat = pair.theirs.chat.create(MODEL, messages=[sdk.user("Hello")], logprobs=True, top_logprobs=2)
    for _, chunk in chat.stream():
        entries += chunk.proto.outputs[0].logprobs.content
    stream = pair.ours.stream("Hello", logprobs=True, top_logprobs=2)
    list(stream)
    compare_logprobs(entries, stream.response.candidates[0].logprobs)


def test_several_answers(pair):
    pair.script(text="One of two.")
    theirs = pair.theirs.chat.create(MODEL, messages=[sdk.user("Hello")]).sample_batch(2)
    ours = pair.ours.chat("Hello", n=2)
    assert [candidate.text for candidate in ours.candidates] == [answer.content for answer in theirs]


# ---- Requests: what xAI's library sends, in the names of REST

ROLES = {
    chat_pb2.ROLE_USER: "user",
    chat_pb2.ROLE_ASSISTANT: "assistant",
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_TOOL: "tool",
}
EFFORTS = {chat_pb2.EFFORT_LOW: "low", chat_pb2.EFFORT_HIGH: "high"}
MODES = {chat_pb2.TOOL_MODE_AUTO: "auto", chat_pb2.TOOL_MODE_NONE: "none", chat_pb2.TOOL_MODE_REQUIRED: "required"}


def rest_content(content):
    if content.HasField("text"):
        return {"type": "text", "text": content.text}
    return {"type": "image_url", "image_url": {"url": content.image_url.image_url}}


def rest_message(message):
    # Beside calls, theirs sends an empty text.
    content = [rest_content(content) for content in message.content if content.image_url.image_url or content.text]
    made = {"role": ROLES[message.role], "content": content}
    if message.tool_calls:
        made["tool_calls"] = [
            {"id": call.id, "function": {"name": call.function.name, "arguments": json.loads(call.function.arguments)}}
            for call in message.tool_calls
        ]
    if message.HasField("tool_call_id"):
        made["tool_call_id"] = message.tool_call_id
    return made


def rest_tool(tool):
    function = tool.function
    return {"name": function.name, "description": function.description, "parameters": json.loads(function.parameters)}


def rest_format(form):
    if form.format_type == chat_pb2.FORMAT_TYPE_JSON_SCHEMA:
        return {"type": "json_schema", "schema": json.loads(form.schema)}
    return {"type": "json_object"}


def rest_choice(choice):
    return choice.function_name if choice.HasField("function_name") else MODES[choice.mode]


CONVERTED = {
    "messages": lambda messages: [rest_message(message) for message in messages],
    "tools": lambda tools: [rest_tool(tool) for tool in tools],
    "tool_choice": rest_choice,
    "response_format": rest_format,
    "reasoning_effort": EFFORTS.__getitem__,
    "stop": list,
}


def rest_request(proto):
    """What was set, by the names of REST."""
    return {
        field.name: CONVERTED.get(field.name, lambda value: value)(value) for field, value in proto.ListFields()
    }


def own_request(body):
    """Ours, without what says the same in more words."""
    made = {key: value for key, value in body.items() if key not in ("stream", "stream_options")}
    made["messages"] = [own_message(message) for message in made["messages"]]
    if "max_completion_tokens" in made:
        made["max_tokens"] = made.pop("max_completion_tokens")
    if "tools" in made:
        made["tools"] = [
            {name: tool["function"].get(name, "") for name in ("name", "description", "parameters")}
            for tool in made["tools"]
        ]
    if isinstance(made.get("tool_choice"), dict):
        made["tool_choice"] = made["tool_choice"]["function"]["name"]
    if made.get("response_format", {}).get("type") == "json_schema":
        made["response_format"] = {"type": "json_schema", "schema": made["response_format"]["json_schema"]["schema"]}
    return made


def own_message(message):
    content = message.get("content") or []
    made = {**message, "content": [{"type": "text", "text": content}] if isinstance(content, str) else content}
    if "tool_calls" in message:
        made["tool_calls"] = [
            {"id": call["id"], "function": {**call["function"], "arguments": json.loads(call["function"]["arguments"])}}
            for call in message["tool_calls"]
        ]
    return made


def compare_requests(pair):
    theirs, ours = rest_request(pair.asked_of_theirs()), own_request(pair.asked_of_ours())
    numbers = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
    for name in numbers:  # theirs have 32 bits
        assert ours.pop(name, None) == pytest.approx(theirs.pop(name, None)), name
    # What is the default of the protocol is set by theirs, and not sent by ours.
    theirs = {name: value for name, value in theirs.items() if (name, value) not in (("n", 1),)}
    assert ours == theirs


def test_request_with_everything(pair):
    pair.script(tool_calls=[("weather", {"city": "Oslo"})])
    pair.theirs.chat.create(
        MODEL,
        messages=[sdk.system("Answer briefly."), sdk.user("Weather?")],
        max_tokens=200,
        temperature=0.1,
        top_p=0.9,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        seed=7,
        stop=["END", "STOP"],
        reasoning_effort="low",
        logprobs=True,
        top_logprobs=3,
        tools=[sdk.tool("weather", "Tells the weather.", SCHEMA)],
        tool_choice=sdk.required_tool("weather"),
        parallel_tool_calls=False,
        user="user-1",
    ).sample()
    pair.ours.chat(
        [ai.Message("system", "Answer briefly."), ai.Message("user", "Weather?")],
        max_tokens=200,
        temperature=0.1,
        top_p=0.9,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        seed=7,
        stop=["END", "STOP"],
        reasoning_effort="low",
        logprobs=True,
        top_logprobs=3,
        tools=[ai.Tool("weather", "Tells the weather.", SCHEMA)],
        tool_choice="weather",
        parallel_tool_calls=False,
        user="user-1",
    )
    compare_requests(pair)


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_request_with_a_choice_of_tools(pair, choice):
    pair.script(text="Well.")
    tools = [sdk.tool("weather", "Tells the weather.", SCHEMA)]
    pair.theirs.chat.create(MODEL, messages=[sdk.user("Hi")], tools=tools, tool_choice=choice).sample()
    pair.ours.chat("Hi", tools=[ai.Tool("weather", "Tells the weather.", SCHEMA)], tool_choice=choice)
    compare_requests(pair)


def test_request_for_json(pair):
    pair.script(text="{}")
    pair.theirs.chat.create(MODEL, messages=[sdk.user("JSON.")], response_format="json_object").sample()
    pair.ours.chat("JSON.", response_format="json")
    compare_requests(pair)


def test_request_for_json_of_a_schema(pair):
    pair.script(text='{"city":"Oslo"}')
    form = chat_pb2.ResponseFormat(format_type=chat_pb2.FORMAT_TYPE_JSON_SCHEMA, schema=json.dumps(SCHEMA))
    pair.theirs.chat.create(MODEL, messages=[sdk.user("City?")], response_format=form).sample()
    pair.ours.chat("City?", response_format=SCHEMA)
    compare_requests(pair)


def test_request_that_goes_on_with_a_conversation(pair):
    pair.script(tool_calls=[("weather", {"city": "Oslo"})])
    picture = "https://example.org/cat.jpg"
    chat = pair.theirs.chat.create(MODEL, tools=[sdk.tool("weather", "Tells the weather.", SCHEMA)])
    chat.append(sdk.user("Where is this?", sdk.image(picture)))
    chat.append(chat.sample())
    chat.append(sdk.tool_result("grey", tool_call_id="call_fake_0"))
    messages = [ai.Message("user", [ai.Text("Where is this?"), ai.Image(picture)])]
    tools = [ai.Tool("weather", "Tells the weather.", SCHEMA)]
    messages.append(pair.ours.chat(messages, tools=tools).message)
    messages.append(ai.Message("tool", [ai.ToolResult("call_fake_0", "grey")]))
    pair.script(text="It rains.")
    compare(chat.sample(), pair.ours.chat(messages, tools=tools))
    compare_requests(pair)


def test_key(pair):
    pair.script(text="Well.")
    pair.theirs.chat.create(MODEL, messages=[sdk.user("Hi")]).sample()
    pair.ours.chat("Hi")
    _, metadata = pair.grpc.chat.seen[-1]
    assert metadata["authorization"] == "Bearer KEY"
    assert pair.rest.requests[-1].headers["authorization"] == "Bearer fake-key"


# ---- Errors: what gRPC's codes are in REST, and who asks again

FAILURES = [
    (grpc.StatusCode.UNAUTHENTICATED, 401, "auth"),
    (grpc.StatusCode.PERMISSION_DENIED, 403, "permission"),
    (grpc.StatusCode.NOT_FOUND, 404, "not_found"),
    (grpc.StatusCode.INVALID_ARGUMENT, 400, "invalid_request"),
]


@pytest.mark.parametrize("code, status, kind", FAILURES)
def test_errors_that_stay(pair, code, status, kind):
    pair.grpc.chat.failures = [(code, "a fault that was asked for")]
    with pytest.raises(grpc.RpcError) as theirs:
        pair.theirs.chat.create(MODEL, messages=[sdk.user("Hi")]).sample()
    pair.rest.inject(str(status))
    with pytest.raises(ai.ProviderError) as ours:
        pair.ours.chat("Hi")
    assert theirs.value.code() == code
    assert (ours.value.kind, ours.value.http_status) == (kind, status)
    assert theirs.value.details() in str(ours.value)
    assert len(pair.grpc.chat.seen) == len(pair.rest.requests) == 1


def test_what_is_not_available_is_asked_for_again(pair):
    pair.script(text="Now.")
    pair.grpc.chat.failures = [(grpc.StatusCode.UNAVAILABLE, "not now")]
    theirs = pair.theirs.chat.create(MODEL, messages=[sdk.user("Hi")]).sample()
    pair.rest.inject("503:1")
    compare(theirs, pair.ours.chat("Hi"))
    assert len(pair.grpc.chat.seen) == len(pair.rest.requests) == 2


# ---- Batches: REST has the names of the protocol


def test_batches_have_the_names_of_the_protocol(pair):
    made = pair.ours.batches.create({"a": "first", "b": "second"})
    json_format.ParseDict(pair.asked_of_ours(), batch_pb2.CreateBatchRequest())
    pair.script(text="Yes.")
    for _ in range(2):
        status = pair.ours.batches.status(made)
    asked = urllib.request.Request(f"{pair.rest.url}/batches/{made.id}", headers={"authorization": "Bearer fake-key"})
    told = json.load(urllib.request.urlopen(asked))
    golden = json.loads((GOLDEN / "xai" / "batch.json").read_text())
    for batch in (golden, told):
        theirs = json_format.ParseDict(batch, batch_pb2.Batch())
        assert theirs.batch_id == batch["batch_id"]
    counts = theirs.state
    assert (status.state, status.total, status.completed) == ("done", counts.num_requests, counts.num_success)
    results = pair.ours.batches.results(status)
    assert {result.id: result.response.text for result in results} == {"a": "Yes.", "b": "Yes."}


def test_every_reason_to_end_is_known():
    words = ("INVALID", "MAX_LEN", "MAX_CONTEXT", "STOP", "TOOL_CALLS", "TIME_LIMIT")
    assert set(sample_pb2.FinishReason.keys()) == {f"REASON_{word}" for word in words}
