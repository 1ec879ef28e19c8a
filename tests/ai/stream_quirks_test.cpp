// Streams of servers that are not quite as they should be.

#include <gtest/gtest.h>

#include "src/ai/think_splitter.h"
#include "taut/ai/error.h"
#include "tests/ai/golden.h"

namespace taut::ai::testing {
namespace {

std::string event(std::string_view data) { return "data: " + std::string(data) + "\n\n"; }
std::string delta(std::string_view text, std::string_view finish = "null") {
  return event(R"({"choices":[{"index":0,"delta":)" + std::string(text) +
               ",\"finish_reason\":" + std::string(finish) + "}]}");
}
std::string calls(std::string_view text) {
  return delta("{\"tool_calls\":" + std::string(text) + "}");
}
const std::string kEnd = delta("{}", "\"tool_calls\"") + "data: [DONE]\n\n";

std::string calls_of(const std::string& stream) {
  const StreamRun run = run_stream(config_of("other"), stream);
  EXPECT_TRUE(run.is_whole);
  std::string told;
  for (const ToolCall& call : run.assembler->response().tool_calls()) {
    const bool is_made_up = call.id.substr(0, 10) == "taut-call-";
    told += (is_made_up ? "?" : call.id) + ":" + call.name + call.arguments + " ";
  }
  return told;
}

TEST(ToolCallPieces, AreKeyedByIndex) {
  EXPECT_EQ(
      calls_of(calls(R"([{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}])") +
               calls(R"([{"index":1,"id":"b","function":{"name":"g","arguments":"{"}}])") +
               calls(R"([{"index":0,"function":{"arguments":":1}"}}])") +
               calls(R"([{"index":1,"function":{"arguments":"}"}}])") + kEnd),
      "a:f{\"x\":1} b:g{} ");
}

TEST(ToolCallPieces, OfAnotherIdAtTheSameIndexAreAnotherCall) {
  EXPECT_EQ(
      calls_of(calls(R"([{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}])") +
               calls(R"([{"index":0,"id":"b","function":{"name":"f","arguments":"{}"}}])") +
               calls(R"([{"index":0,"id":"b","function":{"name":"f","arguments":" "}}])") + kEnd),
      "a:f{} b:f{}  ");
}

TEST(ToolCallPieces, WithoutAnIndexGoByTheirId) {
  EXPECT_EQ(calls_of(calls(R"([{"id":"a","function":{"name":"f","arguments":"{"}}])") +
                     calls(R"([{"id":"b","function":{"name":"g","arguments":"["}}])") +
                     calls(R"([{"id":"a","function":{"arguments":"}"}}])") +
                     calls(R"([{"function":{"arguments":"]"}}])") + kEnd),
            "a:f{} b:g[] ");
}

TEST(ToolCallPieces, WithoutIndexAndIdGoByTheirName) {
  EXPECT_EQ(
      calls_of(
          calls(
              R"([{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"f","arguments":"[]"}}])") +
          kEnd),
      "?:f{} ?:f[] ");
  EXPECT_EQ(calls_of(calls(R"([{"function":{"name":"f","arguments":"{"}}])") +
                     calls(R"([{"function":{"name":"f","arguments":"}"}}])") +
                     calls(R"([{"function":{"name":"g","arguments":"{}"}}])") + kEnd),
            "?:f{} ?:g{} ");
}

TEST(ToolCallPieces, RepeatNamesAndLeaveThemEmpty) {
  EXPECT_EQ(calls_of(calls(R"([{"index":0,"id":"a","function":{"name":"f","arguments":""}}])") +
                     calls(R"([{"index":0,"id":"","function":{"name":"f","arguments":"{"}}])") +
                     calls(R"([{"index":0,"id":null,"function":{"name":"","arguments":"}"}}])") +
                     calls(R"([{"index":0,"function":{"name":null,"arguments":null}}])") + kEnd),
            "a:f{} ");
}

TEST(ToolCallPieces, MayHaveArgumentsAsAnObject) {
  EXPECT_EQ(
      calls_of(calls(R"([{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}])") +
               kEnd),
      "a:f{\"x\":1} ");
}

TEST(ToolCallPieces, OfNonsenseAreBounded) {
  std::string stream;
  for (int i = 0; i < 1100; ++i) {
    stream += calls(R"([{"index":0,"id":"c)" + std::to_string(i) +
                    R"(","function":{"name":"f","arguments":"{}"}}])");
  }
  EXPECT_THROW(run_stream(config_of("other"), stream + kEnd), ProviderError);
}

TEST(ChatStream, EndsWithStopThoughThereAreCalls) {
  const StreamRun run =
      run_stream(config_of("other"),
                 calls(R"([{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}])") +
                     delta("{}", "\"stop\""));
  EXPECT_TRUE(run.is_whole);
  EXPECT_EQ(run.assembler->response().finish_reason(), FinishReason::tool_calls);
  EXPECT_EQ(run.assembler->response().first().raw_finish_reason, "stop");
}

TEST(ChatStream, ToleratesWhatServersDo) {
  const std::string stream =
      delta(R"({"role":"assistant","content":null})", "\"\"") + ": keep-alive\n\n" +
      event(R"({"choices":null,"usage":null})") + event(R"({"choices":[]})") +
      delta(R"({"content":"Hi"})") +
      event(
          R"({"choices":[{"delta":{"content":"!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}})") +
      "data:[DONE]\n\n";
  const StreamRun run = run_stream(config_of("other"), stream);
  EXPECT_TRUE(run.is_whole);
  EXPECT_EQ(run.assembler->response().text(), "Hi!");
  EXPECT_EQ(run.assembler->response().usage.output_total, 2);
}

TEST(ChatStream, IsNotWholeWithoutAFinishReason) {
  try {
    run_stream(config_of("other"), delta(R"({"content":"Hi"})") + "data: [DONE]\n\n");
    ADD_FAILURE();
  } catch (const ProviderError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::truncated_stream);
    EXPECT_TRUE(error.details().partial_output);
  }
  // One of two candidates is not finished.
  const std::string two = delta(R"({"content":"Hi"})", "\"stop\"") +
                          event(R"({"choices":[{"index":1,"delta":{"content":"Ho"}}]})");
  EXPECT_FALSE(run_stream(config_of("other"), two).is_whole);
}

TEST(ChatStream, MayReportAnErrorInAnyShape) {
  const std::pair<std::string, ErrorKind> rows[] = {
      {event(R"({"error":{"message":"Loading","type":"unavailable_error","code":503}})"),
       ErrorKind::overloaded},
      {event(R"({"error":{"message":"too long","code":400}})"), ErrorKind::invalid_request},
      {event(R"({"code":"The service is currently unavailable","error":"x"})"),
       ErrorKind::overloaded},
      {"{\"error\":\"llama runner process no longer running\"}\n", ErrorKind::server_error},
      {"[{\"error\":{\"message\":\"m\",\"code\":429}}]\n", ErrorKind::rate_limited},
      {event(R"({"error":{"message":"m","code":429,"type":"insufficient_quota"}})"),
       ErrorKind::quota_exhausted}};
  for (const auto& [stream, kind] : rows) {
    try {
      run_stream(config_of("other"), stream);
      ADD_FAILURE() << stream;
    } catch (const ProviderError& error) {
      EXPECT_EQ(name(error.kind()), name(kind)) << stream;
    }
    try {
      run_stream(config_of("other"), delta(R"({"content":"Hi"})") + stream + "data: [DONE]\n\n");
      ADD_FAILURE() << stream;
    } catch (const ProviderError& error) {
      EXPECT_EQ(error.kind(), ErrorKind::stream_error) << stream;
    }
  }
}

TEST(ChatStream, OfNonsenseIsMalformed) {
  for (const std::string& stream :
       {event("hello"), event("[1,2]"), event("\"text\""), event("{\"a\":\xFF}"),
        event(R"({"choices":[{"index":1000000000,"delta":{"content":"x"}}]})"),
        event(R"({"choices":[{"index":-1,"delta":{"content":"x"}}]})")}) {
    try {
      run_stream(config_of("other"), stream);
      ADD_FAILURE() << stream;
    } catch (const ProviderError& error) {
      EXPECT_EQ(error.kind(), ErrorKind::malformed_response) << stream;
    }
  }
}

TEST(AnthropicStream, ToleratesWhatGatewaysDo) {
  const std::string start =
      R"({"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":3}}})";
  const std::string stream =
      event(start) + event(start) + event(R"({"type":"new_event","index":0})") +
      event(
          R"({"index":0,"content_block":{"text":"","type":"text"},"type":"content_block_start"})") +
      event(
          R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}})") +
      event(R"({"type":"content_block_delta","index":0,"delta":{"type":"new_delta","x":1}})") +
      event(R"({"type":"message_delta","delta":{"stop_reason":"end_turn"}})") +
      event(R"({"type":"message_stop"})");
  const StreamRun run = run_stream(config_of("anthropic"), stream);
  EXPECT_TRUE(run.is_whole);
  EXPECT_EQ(run.assembler->response().text(), "Hi");
  EXPECT_EQ(run.assembler->response().usage.input_total, 3);
}

TEST(AnthropicStream, KeepsBlocksOfItsOwnToSendBack) {
  const std::string stream =
      event(R"({"type":"message_start","message":{"id":"m","model":"c"}})") +
      event(
          R"({"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}})") +
      event(
          R"({"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"query\":\"x\"}"}})") +
      event(R"({"type":"content_block_stop","index":0})") +
      event(R"({"type":"message_delta","delta":{"stop_reason":"pause_turn"}})") +
      event(R"({"type":"message_stop"})");
  const StreamRun run = run_stream(config_of("anthropic"), stream);
  const ChatResponse& response = run.assembler->response();
  EXPECT_EQ(response.finish_reason(), FinishReason::paused);
  ChatRequest request{.model = "c", .messages = {Message::user("Search."), response.message()}};
  const ProviderConfig config = config_of("anthropic");
  const std::string body = handler_for(config).chat(config, request, {}, true).http.body;
  EXPECT_NE(
      body.find(R"({"id":"s","input":{"query":"x"},"name":"web_search","type":"server_tool_use"})"),
      std::string::npos)
      << body;
}

TEST(Conversation, GoesOnWithWhatTheProviderWantsBack) {
  const StreamRun run = run_stream(config_of("gemini"), read_golden("gemini/chat_tools.sse"));
  const ChatResponse& response = run.assembler->response();
  ChatRequest request{.model = "gemini-3-pro",
                      .messages = {Message::user("Weather?"), response.message()}};
  const ToolCall call = response.tool_calls()[0];
  request.messages.push_back(Message::tool({call.id, "", "rain", false}));
  const ProviderConfig gemini = config_of("gemini");
  const std::string body = handler_for(gemini).chat(gemini, request, {}, false).http.body;
  EXPECT_NE(body.find(R"("thoughtSignature":"EqsF")"), std::string::npos) << body;
  EXPECT_NE(
      body.find(R"({"functionResponse":{"name":"get_weather","response":{"output":"rain"}}})"),
      std::string::npos)
      << body;
  // Another provider is sent nothing that it cannot read, and the id that was made up.
  const ProviderConfig openai = config_of("openai");
  const std::string other = handler_for(openai).chat(openai, request, {}, false).http.body;
  EXPECT_EQ(other.find("EqsF"), std::string::npos) << other;
  EXPECT_NE(other.find(R"("tool_call_id":")" + call.id), std::string::npos) << other;
}

TEST(ThinkSplitter, PartsThoughtsFromTheRestInAnyPieces) {
  struct Row {
    std::string text, reasoning, rest;
  };
  const Row rows[] = {{"<think>a</think>\n\nb", "a", "b"},
                      {"  <think>a < b</th</think>c</think>", "a < b</th", "c</think>"},
                      {"no <think>x</think>", "", "no <think>x</think>"},
                      {"<thin", "", "<thin"},
                      {"<think>never ends", "never ends", ""},
                      {"  \n ", "", "  \n "},
                      {"<think></think>", "", ""},
                      {"", "", ""}};
  for (const Row& row : rows) {
    for (size_t piece = 1; piece <= row.text.size() + 1; ++piece) {
      ThinkSplitter splitter;
      std::string reasoning, rest;
      const auto take = [&](const ThinkSplitter::Pieces& pieces) {
        reasoning += pieces.reasoning;
        rest += pieces.text;
      };
      for (size_t at = 0; at < row.text.size(); at += piece)
        take(splitter.add(row.text.substr(at, piece)));
      take(splitter.finish());
      EXPECT_EQ(reasoning, row.reasoning) << row.text << " in pieces of " << piece;
      EXPECT_EQ(rest, row.rest) << row.text << " in pieces of " << piece;
    }
  }
}

}  // namespace
}  // namespace taut::ai::testing
