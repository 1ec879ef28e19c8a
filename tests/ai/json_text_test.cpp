#include "taut/ai/json_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "taut/ai/cache.h"

namespace taut::ai {
namespace {

ChatRequest full_request() {
  ChatRequest request;
  request.model = "m";
  request.messages = {
      Message::system("be brief"),
      {Role::user,
       {TextPart{"look"}, ImagePart{"", "image/png", std::string("\x89PNG\0\xff", 6), "low"}}},
      {Role::assistant,
       {ReasoningPart{"hm", "sig", "hidden"}, ToolCall{"c1", "f", "{\"a\":1}", "s"}}},
      Message::tool({"c1", "f", "42", true})};
  request.max_output_tokens = 100;
  request.temperature = 0.1;
  request.top_p = 0.9;
  request.top_k = 5;
  request.presence_penalty = -1.5;
  request.frequency_penalty = 1;
  request.seed = -7;
  request.stop = {"a", "b"};
  request.reasoning_effort = "low";
  request.candidates = 2;
  request.format = ResponseFormat{ResponseFormat::Kind::json_schema, "n", "{}", false};
  request.tools = {{"f", "d", "{\"type\":\"object\"}", true}};
  request.tool_choice = ToolChoice{ToolChoice::Kind::named, "f"};
  request.parallel_tool_calls = false;
  request.logprobs = true;
  request.top_logprobs = -1;
  request.user = "u";
  request.extra = "{\"x\": 1}";
  request.headers = {{"x-a", "b"}};
  request.features = FeaturePolicy::drop_with_warning;
  request.deadline = 12.5;
  request.task = "t";
  return request;
}

ChatResponse full_response() {
  ChatResponse response;
  response.id = "i";
  response.model = "m";
  response.provider = "p";
  Candidate candidate;
  candidate.parts = {ReasoningPart{"r", "", ""}, TextPart{"text \xF0\x9F\x98\x80"},
                     ToolCall{"c", "f", "{", ""}};
  candidate.refusal = "no";
  candidate.finish_reason = FinishReason::tool_calls;
  candidate.raw_finish_reason = "tool_use";
  TokenLogprob token;
  token.token = "a";
  token.logprob = -0.25;
  token.bytes = std::vector<uint8_t>{0, 255};
  token.token_id = 17;
  token.top.push_back({.token = "b", .logprob = std::nan(""), .bytes = {}, .token_id = {}});
  candidate.logprobs = {token};
  response.candidates = {candidate, Candidate()};
  response.usage.input_total = 10;
  response.usage.input_cached = 1;
  response.usage.input_cache_write = 2;
  response.usage.output_total = 3;
  response.usage.output_reasoning = 1;
  response.usage.total = 13;
  response.usage.cost = 0.5;
  response.usage.partial = true;
  response.citations = {{"https://x.org", "t", "d", "q"}};
  response.cost = 0.25;
  response.request_id = "r";
  response.warnings = {"w"};
  response.attempts = 3;
  response.seconds = 1.5;
  response.seconds_to_first = 0.5;
  response.from_cache = true;
  response.headers = {{"a", "b"}};
  response.raw = "{}";
  return response;
}

TEST(JsonTextTest, ARequestComesBackAsItWas) {
  const std::string text = to_json(full_request());
  const ChatRequest back = chat_request_from_json(text);
  EXPECT_EQ(to_json(back), text);
  EXPECT_EQ(std::get<ImagePart>(back.messages[1].parts[1]).bytes, std::string("\x89PNG\0\xff", 6));
  EXPECT_EQ(back.temperature, 0.1);
  EXPECT_EQ(back.format->kind, ResponseFormat::Kind::json_schema);
  EXPECT_EQ(back.features, FeaturePolicy::drop_with_warning);
}

TEST(JsonTextTest, WhatIsNotSetIsNotThere) {
  EXPECT_EQ(to_json(ChatRequest{.model = "m",
                                .messages = {Message::user("x")},
                                .max_output_tokens = {},
                                .temperature = {},
                                .top_p = {},
                                .top_k = {},
                                .presence_penalty = {},
                                .frequency_penalty = {},
                                .seed = {},
                                .stop = {},
                                .reasoning_effort = {},
                                .candidates = {},
                                .format = {},
                                .tools = {},
                                .tool_choice = {},
                                .parallel_tool_calls = {},
                                .user = {},
                                .extra = {},
                                .headers = {},
                                .deadline = {},
                                .task = {}}),
            R"({"messages":[{"parts":[{"text":"x","type":"text"}],"role":"user"}],"model":"m"})");
}

TEST(JsonTextTest, AResponseComesBackAsItWas) {
  const std::string text = to_json(full_response());
  const ChatResponse back = chat_response_from_json(text);
  EXPECT_EQ(to_json(back), text);
  EXPECT_TRUE(std::isnan(back.candidates[0].logprobs[0].top[0].logprob)) << "never 0";
  EXPECT_EQ(*back.candidates[0].logprobs[0].bytes, (std::vector<uint8_t>{0, 255}));
  EXPECT_EQ(back.candidates[0].finish_reason, FinishReason::tool_calls);
}

TEST(JsonTextTest, EventsAndErrorsComeBackAsTheyWere) {
  StreamEvent event;
  event.kind = StreamEvent::Kind::tool_call;
  event.candidate = 1;
  event.call_index = 2;
  event.call = ToolCall{"i", "n", "{}", "s"};
  EXPECT_EQ(to_json(stream_event_from_json(to_json(event))), to_json(event));
  event.kind = StreamEvent::Kind::finish;
  event.finish_reason = FinishReason::length;
  EXPECT_EQ(stream_event_from_json(to_json(event)).finish_reason, FinishReason::length);
  ErrorDetails details;
  details.kind = ErrorKind::overloaded;
  details.http_status = 529;
  details.retry_after = 1.5;
  details.message = "m";
  details.bytes_received = 7;
  details.partial_output = true;
  EXPECT_EQ(to_json(error_details_from_json(to_json(details))), to_json(details));
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::no_healthy_provider); ++kind) {
    details.kind = static_cast<ErrorKind>(kind);
    EXPECT_EQ(error_details_from_json(to_json(details)).kind, details.kind);
  }
}

TEST(JsonTextTest, TheSmallOnesComeBackAsTheyWere) {
  EmbeddingRequest embedding;
  embedding.model = "e";
  embedding.inputs = {"a", "b"};
  embedding.dimensions = 8;
  EXPECT_EQ(to_json(embedding_request_from_json(to_json(embedding))), to_json(embedding));
  EmbeddingResponse vectors;
  vectors.embeddings = {{1.5f, -2.25f}, {}};
  EXPECT_EQ(embedding_response_from_json(to_json(vectors)).embeddings, vectors.embeddings);
  BatchStatus status;
  status.id = "b";
  status.state = BatchStatus::State::expired;
  status.completed = 3;
  EXPECT_EQ(to_json(batch_status_from_json(to_json(status))), to_json(status));
  Capabilities capabilities;
  capabilities[Feature::tools] = Answer::no;
  capabilities[Feature::model_list] = Answer::yes;
  capabilities.context_length = 1000;
  EXPECT_EQ(to_json(capabilities_from_json(to_json(capabilities))), to_json(capabilities));
  BatchRequest batch;
  batch.items.push_back({"1", full_request()});
  EXPECT_EQ(to_json(batch_request_from_json(to_json(batch))), to_json(batch));
}

template <class Read>
void expect_refused(Read read, const std::string& text, const std::string& expected) {
  try {
    read(text);
    FAIL() << text;
  } catch (const ValueError& error) {
    EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
  }
}

TEST(JsonTextTest, OtherTextIsRefusedWithItsFault) {
  const auto read = [](const std::string& text) { chat_request_from_json(text); };
  expect_refused(read, "", "not JSON");
  expect_refused(read, "[]", "not an object");
  expect_refused(read, R"({"modle": "m"})", "unknown member 'modle'");
  expect_refused(read, R"({"model": 1})", "a string");
  expect_refused(read, R"({"max_output_tokens": 1.5})", "an integer");
  expect_refused(read, R"({"max_output_tokens": 18446744073709551615})", "an integer");
  expect_refused(read, R"({"top_logprobs": 5000000000})", "an integer");
  expect_refused(read, R"({"stop": ["a", 1]})", "strings");
  expect_refused(read, R"({"messages": [{"role": "boss"}]})", "boss");
  expect_refused(read, R"({"messages": [{"parts": [{"type": "smell"}]}]})", "smell");
  expect_refused(read, R"({"messages": [{"parts": [{"type": "image", "bytes": "!"}]}]})", "base64");
  expect_refused(read, R"({"temperature": NaN})", "not JSON");
  expect_refused(read, std::string(1000, '['), "too deep");
}

TEST(JsonTextTest, RandomDamageIsAnErrorAndNeverACrash) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 rng(seed);
  const std::string request = to_json(full_request());
  const std::string response = to_json(full_response());
  for (int i = 0; i < 3000; ++i) {
    std::string text = i % 2 ? request : response;
    for (int k = 0; k < 3; ++k) text[rng() % text.size()] = static_cast<char>(rng());
    try {
      if (i % 2) {
        chat_request_from_json(text);
      } else {
        chat_response_from_json(text);
      }
    } catch (const ValueError&) {
    }
  }
}

TEST(RequestKeyTest, EqualMeaningGivesAnEqualKey) {
  const ChatRequest request = full_request();
  const std::string key = request_key("p", request);
  EXPECT_EQ(key.size(), 64u);
  ChatRequest same = request;
  same.headers.clear();
  same.deadline = 1;
  same.task = "other";
  same.user = "other";
  same.extra = "{ \"x\" : 1 }";
  EXPECT_EQ(request_key("p", same), key);
}

TEST(RequestKeyTest, EveryOtherFieldChangesIt) {
  const ChatRequest request = full_request();
  const std::string key = request_key("p", request);
  EXPECT_NE(request_key("q", request), key);
  std::vector<ChatRequest> others(18, request);
  others[0].model = "n";
  others[1].messages.pop_back();
  others[2].max_output_tokens = 101;
  others[3].temperature = 0.2;
  others[4].top_p.reset();
  others[5].top_k = 6;
  others[6].presence_penalty = 0;
  others[7].frequency_penalty = 0;
  others[8].seed = 0;
  others[9].stop = {"ab"};
  others[10].reasoning_effort = "high";
  others[11].candidates = 3;
  others[12].format->strict = true;
  others[13].tools[0].strict = false;
  others[14].tool_choice->name = "g";
  others[15].logprobs = false;
  others[16].extra = "{\"x\": 2}";
  others[17].features = FeaturePolicy::error;
  for (size_t i = 0; i < others.size(); ++i) EXPECT_NE(request_key("p", others[i]), key) << i;
}

}  // namespace
}  // namespace taut::ai
