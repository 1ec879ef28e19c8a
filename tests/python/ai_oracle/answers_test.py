"""Golden answers and streams, as the vendors' own libraries read them and as Taut does."""

import json

import pytest

for library in ("openai", "anthropic", "perplexity", "google.genai"):
    pytest.importorskip(library, reason=f"{library} is not there: see requirements.txt beside this file")

import anthropic
import openai
import perplexity
from golden_files import GOLDEN
from google import genai
from google.genai import types

USER = [{"role": "user", "content": "Hello"}]


def texts(candidate):
    return "".join(part["text"] for part in candidate["parts"] if "text" in part)


def reasoning(candidate):
    return "".join(part["reasoning"] for part in candidate["parts"] if "reasoning" in part)


def calls(candidate):
    found = [part["call"] for part in candidate["parts"] if "call" in part]
    return [(call["id"], call["name"], json.loads(call["arguments"])) for call in found]


def files(*folders, ending=".sse"):
    found = [path for folder in folders for path in sorted((GOLDEN / folder).glob("chat*" + ending))]
    good = [path for path in found if not path.name.endswith(("_error.sse", "_failed.sse"))]
    return [str(path.relative_to(GOLDEN)) for path in good]


def bodies(*folders):
    return [file for file in files(*folders, ending=".json") if not file.endswith("expected.json")]


# ---- OpenAI, and those like it --------------------------------------------------------------------

LIKE_OPENAI = ("openai", "xai", "vllm", "ollama", "llama_cpp")


def openai_client(server):
    return openai.OpenAI(api_key="KEY", base_url=server.url + "/v1", max_retries=0)


def reasoning_tokens(usage):
    details = usage.completion_tokens_details
    return details.reasoning_tokens if details else None


def compare_chat_usage(file, usage, ours):
    assert ours["input_total"] == usage.prompt_tokens
    assert ours["total"] == usage.total_tokens
    thoughts = reasoning_tokens(usage) if file.startswith("xai") else 0
    assert ours["output_total"] == usage.completion_tokens + thoughts
    if usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens is not None:
        assert ours["input_cached"] == usage.prompt_tokens_details.cached_tokens
    assert ours["output_reasoning"] == reasoning_tokens(usage)


def compare_chat_logprobs(theirs, ours):
    assert [entry["token"] for entry in ours] == [entry.token for entry in theirs]
    assert [entry["logprob"] for entry in ours] == [entry.logprob for entry in theirs]
    for mine, other in zip(ours, theirs):
        assert mine["bytes"] == other.bytes
        assert [top["token"] for top in mine["top"]] == [top.token for top in other.top_logprobs or []]


class ChatPieces:
    """The pieces of a stream, put together as OpenAI's examples do."""

    def __init__(self, stream):
        self.text, self.refusal, self.calls, self.finish, self.logprobs = {}, {}, {}, {}, {}
        self.usage, self.id = None, None
        for chunk in stream:
            self.id = chunk.id
            self.usage = chunk.usage or self.usage
            for choice in chunk.choices:
                self._add(choice)

    def _add(self, choice):
        i, delta = choice.index, choice.delta
        self.text[i] = self.text.get(i, "") + (delta.content or "")
        self.refusal[i] = self.refusal.get(i, "") + (delta.refusal or "")
        self.finish[i] = choice.finish_reason or self.finish.get(i)
        if choice.logprobs and choice.logprobs.content:
            self.logprobs.setdefault(i, []).extend(choice.logprobs.content)
        for call in delta.tool_calls or []:
            # The servers that number all calls alike are told apart by their ids.
            known = self.calls.setdefault(i, [])
            if not known or (call.id and call.id != known[-1][0]):
                known.append([call.id, call.function.name, ""])
            known[-1][2] += call.function.arguments or ""


@pytest.mark.parametrize("file", files(*LIKE_OPENAI))
def test_chat_stream(program, server, file):
    server.serve(file)
    client = openai_client(server)
    pieces = ChatPieces(client.chat.completions.create(model="m", messages=USER, stream=True))
    ours = program.parse(file)
    assert ours["id"] == pieces.id
    assert len(ours["candidates"]) == len(pieces.text)
    for i, candidate in enumerate(ours["candidates"]):
        assert texts(candidate) == pieces.text[i]
        assert candidate["refusal"] == pieces.refusal[i]
        assert candidate["raw_finish_reason"] == pieces.finish[i]
        theirs = [(call[0], call[1], json.loads(call[2])) for call in pieces.calls.get(i, [])]
        assert calls(candidate) == theirs
        compare_chat_logprobs(pieces.logprobs.get(i, []), candidate["logprobs"])
    compare_chat_usage(file, pieces.usage, ours["usage"])


@pytest.mark.parametrize("file", bodies(*LIKE_OPENAI))
def test_chat_body(program, server, file):
    server.serve(file)
    theirs = openai_client(server).chat.completions.create(model="m", messages=USER)
    ours = program.parse(file)
    assert ours["id"] == theirs.id and ours["model"] == theirs.model
    choice, candidate = theirs.choices[0], ours["candidates"][0]
    assert texts(candidate) == (choice.message.content or "")
    assert candidate["raw_finish_reason"] == choice.finish_reason
    made = choice.message.tool_calls or []
    assert calls(candidate) == [(c.id, c.function.name, json.loads(c.function.arguments)) for c in made]
    compare_chat_logprobs(choice.logprobs.content if choice.logprobs else [], candidate["logprobs"])
    compare_chat_usage(file, theirs.usage, ours["usage"])


def compare_response(theirs, ours):
    candidate = ours["candidates"][0]
    assert ours["id"] == theirs.id
    assert texts(candidate) == theirs.output_text
    made = [item for item in theirs.output if item.type == "function_call"]
    assert calls(candidate) == [(c.call_id, c.name, json.loads(c.arguments)) for c in made]
    parts = [part for item in theirs.output if item.type == "message" for part in item.content]
    assert candidate["refusal"] == "".join(part.refusal for part in parts if part.type == "refusal")
    usage = ours["usage"]
    assert usage["input_total"] == theirs.usage.input_tokens
    assert usage["input_cached"] == theirs.usage.input_tokens_details.cached_tokens
    assert usage["output_total"] == theirs.usage.output_tokens
    assert usage["output_reasoning"] == theirs.usage.output_tokens_details.reasoning_tokens
    assert usage["total"] == theirs.usage.total_tokens


@pytest.mark.parametrize("file", files("openai_responses"))
def test_responses_stream(program, server, file):
    server.serve(file)
    text, last = "", None
    for event in openai_client(server).responses.create(model="m", input="Hello", stream=True):
        text += event.delta if event.type == "response.output_text.delta" else ""
        last = event
    assert texts(program.parse(file)["candidates"][0]) == text
    compare_response(last.response, program.parse(file))


@pytest.mark.parametrize("file", bodies("openai_responses"))
def test_responses_body(program, server, file):
    server.serve(file)
    compare_response(openai_client(server).responses.create(model="m", input="Hello"), program.parse(file))


@pytest.mark.parametrize("file", ["vllm/chat_error.sse"])
def test_chat_stream_error(program, server, file):
    server.serve(file)
    with pytest.raises(openai.APIError) as raised:
        list(openai_client(server).chat.completions.create(model="m", messages=USER, stream=True))
    ours = program.parse(file)["error"]
    assert ours["message"] == raised.value.body["message"]
    assert ours["vendor_type"] == raised.value.type


# ---- Anthropic -----------------------------------------------------------------------------------


def anthropic_client(server):
    return anthropic.Anthropic(api_key="KEY", base_url=server.url, max_retries=0)


def compare_message(theirs, ours):
    candidate, usage = ours["candidates"][0], ours["usage"]
    assert ours["id"] == theirs.id and ours["model"] == theirs.model
    assert texts(candidate) == "".join(block.text for block in theirs.content if block.type == "text")
    assert reasoning(candidate) == "".join(block.thinking for block in theirs.content if block.type == "thinking")
    signatures = [f"anthropic:{block.signature}" for block in theirs.content if block.type == "thinking"]
    assert [part["signature"] for part in candidate["parts"] if part.get("reasoning")] == signatures
    made = [block for block in theirs.content if block.type == "tool_use"]
    assert calls(candidate) == [(block.id, block.name, block.input) for block in made]
    assert candidate["raw_finish_reason"] == theirs.stop_reason
    read, written = theirs.usage.cache_read_input_tokens, theirs.usage.cache_creation_input_tokens
    assert usage["input_total"] == theirs.usage.input_tokens + (read or 0) + (written or 0)
    assert usage["input_cached"] == read
    assert usage["output_total"] == theirs.usage.output_tokens


@pytest.mark.parametrize("file", files("anthropic"))
def test_anthropic_stream(program, server, file):
    server.serve(file)
    with anthropic_client(server).messages.stream(model="m", max_tokens=9, messages=USER) as stream:
        compare_message(stream.get_final_message(), program.parse(file))


@pytest.mark.parametrize("file", bodies("anthropic"))
def test_anthropic_body(program, server, file):
    server.serve(file)
    theirs = anthropic_client(server).messages.create(model="m", max_tokens=9, messages=USER)
    compare_message(theirs, program.parse(file))


def test_anthropic_stream_error(program, server):
    server.serve("anthropic/chat_error.sse")
    with pytest.raises(anthropic.APIError) as raised:
        with anthropic_client(server).messages.stream(model="m", max_tokens=9, messages=USER) as stream:
            stream.get_final_message()
    ours = program.parse("anthropic/chat_error.sse")["error"]
    assert ours["vendor_type"] == raised.value.body["error"]["type"]
    assert ours["message"] == raised.value.body["error"]["message"]


def test_anthropic_headers(program, server):
    server.serve("anthropic/chat_text.json")
    anthropic_client(server).messages.create(model="m", max_tokens=9, messages=USER)
    path, headers, _ = server.seen[-1]
    line = program.requests()["anthropic.plain"]
    assert path == line["path"]
    lower = {name.lower(): value for name, value in headers.items()}
    for name, value in line["headers"].items():
        assert lower[name] == value


# ---- Gemini --------------------------------------------------------------------------------------


def gemini_client(server):
    return genai.Client(api_key="KEY", http_options=types.HttpOptions(base_url=server.url))


def compare_gemini(chunks, ours):
    text, thoughts, made, finish, usage = "", "", [], None, None
    for chunk in chunks:
        usage = chunk.usage_metadata or usage
        for candidate in chunk.candidates or []:
            finish = candidate.finish_reason.value if candidate.finish_reason else finish
            for part in (candidate.content.parts if candidate.content else None) or []:
                if part.function_call:
                    made.append((part.function_call.name, part.function_call.args or {}))
                elif part.thought:
                    thoughts += part.text or ""
                else:
                    text += part.text or ""
        if not chunk.candidates and chunk.prompt_feedback:
            finish = chunk.prompt_feedback.block_reason.value
    candidate, counts = ours["candidates"][0], ours["usage"]
    assert texts(candidate) == text and reasoning(candidate) == thoughts
    assert [(name, arguments) for _, name, arguments in calls(candidate)] == made
    assert candidate["raw_finish_reason"] == finish
    assert ours["model"] == chunks[0].model_version and ours["id"] == chunks[0].response_id
    assert counts["input_total"] == usage.prompt_token_count
    assert counts["total"] == usage.total_token_count
    assert counts["output_reasoning"] == usage.thoughts_token_count
    both = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    assert (counts["output_total"] or 0) == both


@pytest.mark.parametrize("file", files("gemini"))
def test_gemini_stream(program, server, file):
    server.serve(file)
    client = gemini_client(server)
    compare_gemini(list(client.models.generate_content_stream(model="m", contents="Hello")), program.parse(file))


@pytest.mark.parametrize("file", bodies("gemini"))
def test_gemini_body(program, server, file):
    server.serve(file)
    client = gemini_client(server)
    theirs = client.models.generate_content(model="m", contents="Hello")
    ours = program.parse(file)
    compare_gemini([theirs], ours)
    result = theirs.candidates[0].logprobs_result
    chosen = result.chosen_candidates if result else []
    assert [entry["token_id"] for entry in ours["candidates"][0]["logprobs"]] == [c.token_id for c in chosen]
    assert [entry["logprob"] for entry in ours["candidates"][0]["logprobs"]] == [c.log_probability for c in chosen]


# ---- Perplexity ----------------------------------------------------------------------------------


def perplexity_client(server):
    return perplexity.Perplexity(api_key="KEY", base_url=server.url, max_retries=0)


def compare_sonar(content, last, ours):
    candidate = ours["candidates"][0]
    assert ours["id"] == last.id
    # Taut takes the thoughts out of the text, and the white space behind them.
    thoughts, _, rest = content.partition("</think>")
    assert "<think>" + reasoning(candidate) == thoughts
    assert texts(candidate) == rest.lstrip()
    assert ours["usage"]["input_total"] == last.usage.prompt_tokens
    assert ours["usage"]["output_total"] == last.usage.completion_tokens
    assert ours["usage"]["cost"] == last.usage.cost.total_cost
    assert [c["url"] for c in ours["citations"]] == [result.url for result in last.search_results]


@pytest.mark.parametrize("file", files("perplexity"))
def test_perplexity_stream(program, server, file):
    server.serve(file)
    content, last = "", None
    for chunk in perplexity_client(server).chat.completions.create(model="sonar", messages=USER, stream=True):
        content += chunk.choices[0].delta.content or ""
        last = chunk
    compare_sonar(content, last, program.parse(file))
    assert program.parse(file)["candidates"][0]["raw_finish_reason"] == last.choices[0].finish_reason


@pytest.mark.parametrize("file", bodies("perplexity"))
def test_perplexity_body(program, server, file):
    server.serve(file)
    theirs = perplexity_client(server).chat.completions.create(model="sonar", messages=USER)
    compare_sonar(theirs.choices[0].message.content, theirs, program.parse(file))
