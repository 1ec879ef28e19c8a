// What is refused before it is sent, what is dropped with a warning, and embeddings, models and
// batches.

#include <gtest/gtest.h>

#include <cmath>

#include "src/ai/anthropic_models.h"
#include "src/ai/request_json.h"
#include "taut/ai/error.h"
#include "tests/ai/golden.h"

namespace taut::ai::testing {
namespace {

BuiltRequest build(std::string_view folder, const ChatRequest& request, bool is_stream = false) {
  const ProviderConfig config = config_of(folder);
  const ProtocolHandler& handler = handler_for(config);
  return handler.chat(config, request, handler.known_capabilities(config, request.model),
                      is_stream);
}

SortedJson body_of(const BuiltRequest& built) { return SortedJson::parse(built.http.body); }

ChatRequest hello(std::string model) {
  return {.model = std::move(model), .messages = {Message::user("Hello")}};
}

ErrorDetails refusal_of(std::string_view folder, const ChatRequest& request,
                        bool is_stream = false) {
  try {
    build(folder, request, is_stream);
  } catch (const ProviderError& error) {
    EXPECT_EQ(error.details().http_status, 0);
    return error.details();
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

void expect_refusal(std::string_view folder, const ChatRequest& request, ErrorKind kind,
                    std::string_view param) {
  const ErrorDetails details = refusal_of(folder, request);
  EXPECT_EQ(name(details.kind), name(kind)) << details.message;
  EXPECT_EQ(details.param, param) << details.message;
}

TEST(ProtocolRequest, NumbersHaveToBeFinite) {
  for (const std::string_view folder : {"openai", "openai_responses", "anthropic", "gemini"}) {
    for (const double number : {NAN, INFINITY, -INFINITY}) {
      ChatRequest request = hello("gpt-4.1");
      request.temperature = number;
      expect_refusal(folder, request, ErrorKind::invalid_request, "temperature");
    }
  }
  ChatRequest request = hello("gpt-4.1");
  request.frequency_penalty = NAN;
  expect_refusal("openai", request, ErrorKind::invalid_request, "frequency_penalty");
}

TEST(ProtocolRequest, HasToMakeSense) {
  using Kind = ErrorKind;
  ChatRequest request = hello("");
  expect_refusal("openai", request, Kind::invalid_request, "model");
  request = hello("m");
  request.messages.clear();
  expect_refusal("gemini", request, Kind::invalid_request, "messages");
  request = hello("m");
  request.messages[0].parts.clear();
  for (const std::string_view folder : {"openai", "openai_responses", "anthropic", "gemini"}) {
    expect_refusal(folder, request, Kind::invalid_request, "messages");
  }
  request = hello("m");
  request.candidates = 0;
  expect_refusal("openai", request, Kind::invalid_request, "candidates");
  request = hello("m");
  request.max_output_tokens = -1;
  expect_refusal("anthropic", request, Kind::invalid_request, "max_output_tokens");
  request = hello("m");
  request.top_logprobs = -2;
  expect_refusal("vllm", request, Kind::invalid_request, "top_logprobs");
  request = hello("m");
  request.tools = {Tool{.name = "bad name"}};
  expect_refusal("openai", request, Kind::invalid_request, "tools");
  request.tools = {Tool{.name = "f", .parameters = "{"}};
  expect_refusal("openai", request, Kind::invalid_request, "tools");
  request.tools = {Tool{.name = "f", .parameters = "[1]"}};
  expect_refusal("gemini", request, Kind::invalid_request, "tools");
  request.tools.clear();
  request.tool_choice = ToolChoice{.kind = ToolChoice::Kind::required};
  expect_refusal("openai", request, Kind::invalid_request, "tool_choice");
  request.tools = {Tool{.name = "f"}};
  request.tool_choice = ToolChoice{.kind = ToolChoice::Kind::named, .name = "g"};
  expect_refusal("openai", request, Kind::invalid_request, "tool_choice");
  request = hello("m");
  request.format = ResponseFormat{.kind = ResponseFormat::Kind::json_schema, .schema = ""};
  expect_refusal("openai", request, Kind::invalid_request, "format");
  request = hello("m");
  request.extra = R"({"stream":true})";
  expect_refusal("openai", request, Kind::invalid_request, "extra");
  request.extra = "[]";
  expect_refusal("openai", request, Kind::invalid_request, "extra");
}

TEST(ProtocolRequest, ModelsInPathsAreEncoded) {
  EXPECT_EQ(build("gemini", hello("a b?c")).http.path, "/v1/models/a%20b%3Fc:generateContent");
  EXPECT_EQ(build("gemini", hello("tunedModels/x")).http.path, "/v1/tunedModels/x:generateContent");
  for (const std::string model : {"../files", "a/../b", "a//b", "a;b", "a\r\nb", "models/"}) {
    expect_refusal("gemini", hello(model), ErrorKind::invalid_request, "model");
  }
}

TEST(ProtocolRequest, WhatAModelLacksIsAnErrorOrAWarning) {
  struct Row {
    std::string_view folder;
    std::string model;
    void (*set)(ChatRequest&);
    std::string_view param;
    std::string_view field;  // of the body, where it must not be
  };
  const Row rows[] = {
      {"openai", "gpt-5", [](ChatRequest& r) { r.temperature = 1; }, "temperature", "temperature"},
      {"openai", "gpt-5", [](ChatRequest& r) { r.stop = {"a"}; }, "stop", "stop"},
      {"openai", "o3", [](ChatRequest& r) { r.logprobs = true; }, "logprobs", "logprobs"},
      {"openai", "gpt-4.1", [](ChatRequest& r) { r.top_k = 3; }, "top_k", "top_k"},
      {"openai", "gpt-5.1",
       [](ChatRequest& r) {
         r.temperature = 1;
         r.reasoning_effort = "high";
       },
       "temperature", "temperature"},
      {"openai_responses", "gpt-4.1", [](ChatRequest& r) { r.seed = 3; }, "seed", "seed"},
      {"anthropic", "claude-sonnet-5", [](ChatRequest& r) { r.temperature = 1; }, "temperature",
       "temperature"},
      {"anthropic", "claude-sonnet-5", [](ChatRequest& r) { r.top_k = 5; }, "top_k", "top_k"},
      {"anthropic", "claude-sonnet-5", [](ChatRequest& r) { r.candidates = 2; }, "candidates", "n"},
      {"anthropic", "claude-sonnet-5", [](ChatRequest& r) { r.logprobs = true; }, "logprobs",
       "logprobs"},
      {"gemini", "gemini-3-pro", [](ChatRequest& r) { r.parallel_tool_calls = true; },
       "parallel_tool_calls", "parallel_tool_calls"},
      {"gemini", "gemini-3-pro", [](ChatRequest& r) { r.user = "u"; }, "user", "user"},
      {"gemini", "gemini-2.5-pro", [](ChatRequest& r) { r.reasoning_effort = "low"; },
       "reasoning_effort", "thinkingConfig"},
      {"xai", "grok-4", [](ChatRequest& r) { r.presence_penalty = 1; },
       "presence_penalty and frequency_penalty", "presence_penalty"},
      {"xai", "grok-4.20-reasoning", [](ChatRequest& r) { r.reasoning_effort = "low"; },
       "reasoning_effort", "reasoning_effort"},
      {"perplexity", "sonar", [](ChatRequest& r) { r.logprobs = true; }, "logprobs", "logprobs"},
      {"perplexity", "sonar", [](ChatRequest& r) { r.user = "u"; }, "user", "user"},
      {"perplexity", "sonar",
       [](ChatRequest& r) {
         r.tools = {Tool{.name = "f"}};
         r.tool_choice = ToolChoice{.kind = ToolChoice::Kind::named, .name = "f"};
       },
       "tool_choice", "tool_choice"},
      {"ollama", "llama3.2",
       [](ChatRequest& r) {
         r.tools = {Tool{.name = "f"}};
         r.tool_choice = ToolChoice{.kind = ToolChoice::Kind::required};
       },
       "tool_choice", "tool_choice"},
  };
  for (const Row& row : rows) {
    ChatRequest request = hello(row.model);
    row.set(request);
    request.max_output_tokens = 10;
    expect_refusal(row.folder, request, ErrorKind::unsupported_parameter, row.param);
    request.features = FeaturePolicy::drop_with_warning;
    const BuiltRequest built = build(row.folder, request);
    ASSERT_EQ(built.warnings.size(), 1u) << row.param;
    EXPECT_NE(built.warnings[0].find(row.param), std::string::npos) << built.warnings[0];
    EXPECT_EQ(built.http.body.find("\"" + std::string(row.field) + "\":"), std::string::npos)
        << built.http.body;
  }
}

TEST(ProtocolRequest, SomeModelsSampleWhileTheyDoNotReason) {
  ChatRequest request = hello("gpt-5.1");
  request.temperature = 0.5;
  request.reasoning_effort = "none";
  EXPECT_EQ(body_of(build("openai", request))["temperature"], 0.5);
}

TEST(ProtocolRequest, LimitsOfStopsAndLogprobs) {
  ChatRequest request = hello("gpt-4.1");
  request.stop = {"1", "2", "3", "4", "5"};
  expect_refusal("openai", request, ErrorKind::unsupported_parameter, "stop");
  request.features = FeaturePolicy::drop_with_warning;
  EXPECT_EQ(body_of(build("openai", request))["stop"].size(), 4u);
  request = hello("grok-3");
  request.top_logprobs = 9;
  expect_refusal("xai", request, ErrorKind::unsupported_parameter, "top_logprobs");
  request.features = FeaturePolicy::drop_with_warning;
  EXPECT_EQ(body_of(build("xai", request))["top_logprobs"], 8);
  request = hello("gpt-4.1");
  request.top_logprobs = -1;
  expect_refusal("openai", request, ErrorKind::unsupported_parameter, "top_logprobs");
  EXPECT_EQ(body_of(build("vllm", request))["top_logprobs"], -1);
}

TEST(ProtocolRequest, WhatTheUserSaysOfAModelDoesNotGiveAProtocolWords) {
  const ProviderConfig config = config_of("anthropic");
  Capabilities all;
  for (Answer& answer : all.answers) answer = Answer::yes;
  ChatRequest request = hello("claude-sonnet-5");
  request.seed = 3;
  EXPECT_THROW(handler_for(config).chat(config, request, all, false), ProviderError);
}

TEST(ProtocolRequest, AModelThatDoesNotStreamIsNotAskedTo) {
  const ProviderConfig config = config_of("openai");
  Capabilities capabilities;
  capabilities[Feature::streaming] = Answer::no;
  EXPECT_THROW(handler_for(config).chat(config, hello("m"), capabilities, true), ProviderError);
  EXPECT_NO_THROW(handler_for(config).chat(config, hello("m"), capabilities, false));
}

TEST(ProtocolRequest, NothingLeftIsAnError) {
  const ProviderConfig config = config_of("openai");
  Capabilities capabilities;
  capabilities[Feature::system_prompt] = Answer::no;
  ChatRequest request{.model = "m", .messages = {Message::system("Only this.")}};
  request.features = FeaturePolicy::drop_with_warning;
  EXPECT_THROW(handler_for(config).chat(config, request, capabilities, false), ProviderError);
}

TEST(ProtocolRequest, PicturesHaveToBeOnes) {
  const auto with = [](ImagePart image) {
    ChatRequest request = hello("gpt-4.1");
    request.messages[0].parts.push_back(std::move(image));
    return request;
  };
  ImagePart both;
  both.url = "https://example.org/a.png";
  both.bytes = "x";
  ImagePart odd_kind;
  odd_kind.bytes = "x";
  odd_kind.media_type = "image/tiff";
  ImagePart http;
  http.url = "http://example.org/a.png";
  ImagePart data;
  data.url = "data:text/html;base64,AAAA";
  ImagePart detail;
  detail.url = "https://example.org/a.png";
  detail.detail = "huge";
  for (const ImagePart& image : {ImagePart{}, both, odd_kind, http, data, detail}) {
    for (const std::string_view folder : {"openai", "openai_responses", "anthropic", "gemini"}) {
      expect_refusal(folder, with(image), ErrorKind::invalid_request, "messages");
    }
  }
  ImagePart good;
  good.url = "data:image/gif;base64,R0lGODlh";
  const SortedJson body = body_of(build("anthropic", with(good)));
  const SortedJson& source = body["messages"][0]["content"][1]["source"];
  EXPECT_EQ(source["media_type"], "image/gif");
  EXPECT_EQ(source["data"], "R0lGODlh");
}

TEST(ProtocolRequest, ClaudeWantsALimitAndGetsOneWithAWarning) {
  const BuiltRequest built = build("anthropic", hello("claude-sonnet-5"));
  EXPECT_EQ(body_of(built)["max_tokens"], 4096);
  ASSERT_EQ(built.warnings.size(), 1u);
  ChatRequest request = hello("claude-sonnet-5");
  request.max_output_tokens = 30'000;
  expect_refusal("anthropic", request, ErrorKind::invalid_request, "max_output_tokens");
  EXPECT_EQ(body_of(build("anthropic", request, true))["max_tokens"], 30'000);
}

TEST(ProtocolRequest, CallsOfWrongJsonCannotGoBackToAll) {
  ChatRequest request = hello("m");
  Message answer{Role::assistant, {ToolCall{"c", "f", "{\"a\":", ""}}};
  request.messages.push_back(answer);
  request.messages.push_back(Message::tool({"c", "f", "what?", true}));
  EXPECT_NO_THROW(build("openai", request));
  expect_refusal("anthropic", request, ErrorKind::invalid_request, "messages");
  expect_refusal("gemini", request, ErrorKind::invalid_request, "messages");
}

TEST(ProtocolRequest, AResultWithoutACallHasNoNameForGemini) {
  ChatRequest request = hello("m");
  request.messages.push_back(Message::tool({"c", "", "x", false}));
  expect_refusal("gemini", request, ErrorKind::invalid_request, "messages");
}

// ---- Embeddings
// ----------------------------------------------------------------------------------

HttpAnswer golden_answer(const std::string& file) {
  HttpAnswer answer;
  answer.status = 200;
  answer.body = read_golden(file);
  return answer;
}

TEST(ProtocolEmbeddings, ComeInTheOrderOfTheInputs) {
  const EmbeddingRequest request{.model = "m", .inputs = {"a", "b"}};
  const std::vector<std::vector<float>> expected = {{0.5f, -0.25f, 1.0f}, {0.125f, 2.0f, -3.0f}};
  for (const std::string file : {"openai/embeddings_base64.json", "openai/embeddings_float.json",
                                 "gemini/embeddings.json"}) {
    const ProviderConfig config = config_of(folder_of(file));
    EXPECT_EQ(handler_for(config).parse_embeddings(config, request, golden_answer(file)).embeddings,
              expected)
        << file;
  }
  const ProviderConfig config = config_of("perplexity");
  const EmbeddingResponse response = handler_for(config).parse_embeddings(
      config, request, golden_answer("perplexity/embeddings_int8.json"));
  EXPECT_EQ(response.embeddings, (std::vector<std::vector<float>>{{1, -128, 127}, {0, 5, -7}}));
  EXPECT_EQ(response.usage.input_total, 8);
}

TEST(ProtocolEmbeddings, OfSignsHaveABitEach) {
  EmbeddingRequest request{.model = "pplx-embed-v1-0.6b", .inputs = {"a"}};
  request.extra = R"({"encoding_format":"base64_binary"})";
  const ProviderConfig config = config_of("perplexity");
  const ProtocolHandler& handler = handler_for(config);
  const BuiltRequest built =
      handler.embed(config, request, handler.known_capabilities(config, request.model));
  EXPECT_NE(built.http.body.find(R"("encoding_format":"base64_binary")"), std::string::npos);
  HttpAnswer answer;
  answer.status = 200;
  answer.body = R"({"data":[{"index":0,"embedding":"oQ=="}]})";  // 1010 0001
  EXPECT_EQ(handler.parse_embeddings(config, request, answer).embeddings,
            (std::vector<std::vector<float>>{{1, -1, 1, -1, -1, -1, -1, 1}}));
}

TEST(ProtocolEmbeddings, HaveToBeAsManyAsTheInputs) {
  const ProviderConfig config = config_of("openai");
  for (const size_t count : {1, 3}) {
    EmbeddingRequest request{.model = "m", .inputs = std::vector<std::string>(count, "a")};
    EXPECT_THROW(handler_for(config).parse_embeddings(
                     config, request, golden_answer("openai/embeddings_float.json")),
                 ProviderError);
  }
  HttpAnswer answer;
  answer.status = 200;
  const EmbeddingRequest request{.model = "m", .inputs = {"a", "b"}};
  for (const std::string data :
       {R"([{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}])",
        R"([{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}])",
        R"([{"index":0,"embedding":[]},{"index":1,"embedding":[1]}])",
        R"([{"index":0,"embedding":[null]},{"index":1,"embedding":[1]}])",
        R"([{"index":0,"embedding":"AAA"},{"index":1,"embedding":"AAAA"}])",
        // Not a number.
        R"([{"index":0,"embedding":"AADAfw=="},{"index":1,"embedding":"AACAPw=="}])"}) {
    answer.body = "{\"data\":" + data + "}";
    EXPECT_THROW(handler_for(config).parse_embeddings(config, request, answer), ProviderError)
        << data;
  }
}

TEST(ProtocolEmbeddings, AreRefusedWhereThereAreNone) {
  const EmbeddingRequest good{.model = "m", .inputs = {"a"}};
  EmbeddingRequest none = good, empty = good, flat = good, task = good;
  none.inputs.clear();
  empty.inputs = {"a", ""};
  flat.dimensions = 0;
  task.task_type = "RETRIEVAL_QUERY";
  const ProviderConfig openai = config_of("openai");
  for (const EmbeddingRequest& request : {none, empty, flat, task}) {
    EXPECT_THROW(handler_for(openai).embed(openai, request, {}), ProviderError);
  }
  const ProviderConfig anthropic = config_of("anthropic");
  EXPECT_THROW(handler_for(anthropic).embed(anthropic, good, {}), ProviderError);
  EXPECT_THROW(handler_for(openai).embed(openai, good,
                                         handler_for(openai).known_capabilities(openai, "gpt-4.1")),
               ProviderError);
}

// ---- Models
// --------------------------------------------------------------------------------------

TEST(ProtocolModels, ArePages) {
  const auto page = [](const std::string& file) {
    const ProviderConfig config = config_of(folder_of(file));
    return handler_for(config).parse_models(config, golden_answer(file));
  };
  const ModelPage openai = page("openai/models.json");
  ASSERT_EQ(openai.models.size(), 2u);
  EXPECT_EQ(openai.models[0].id, "gpt-5-mini");
  EXPECT_EQ(openai.models[0].created, 1754425777);
  EXPECT_FALSE(openai.next.has_value());
  const ModelPage anthropic = page("anthropic/models.json");
  EXPECT_EQ(anthropic.models[0].context_length, 200'000);
  EXPECT_EQ(anthropic.models[0].created, 1759104000);
  EXPECT_EQ(anthropic.next->path, "/v1/models?limit=1000&after_id=claude-sonnet-4-5-20250929");
  const ModelPage gemini = page("gemini/models.json");
  EXPECT_EQ(gemini.models[0].id, "gemini-3-pro-preview");
  EXPECT_EQ(gemini.models[0].max_output_tokens, 65'536);
  EXPECT_EQ(gemini.next->path, "/v1/models?pageSize=1000&pageToken=abc%3D%3D");
  EXPECT_THROW(handler_for(config_of("perplexity")).models(config_of("perplexity")), ProviderError);
}

TEST(ProtocolModels, TimesAreSeconds) {
  EXPECT_EQ(seconds_of_timestamp("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(seconds_of_timestamp("2024-02-29T12:34:56Z"), 1709210096);
  EXPECT_EQ(seconds_of_timestamp("2000-01-01T00:00:00.5Z"), 946684800);
  EXPECT_EQ(seconds_of_timestamp("yesterday"), std::nullopt);
  EXPECT_EQ(seconds_of_timestamp("2024-13-01T00:00:00Z"), std::nullopt);
}

// ---- Batches
// -------------------------------------------------------------------------------------

BatchRequest two_items(const std::string& model) {
  BatchRequest batch;
  for (const std::string id : {"a", "b"}) {
    ChatRequest request = hello(model);
    request.max_output_tokens = 10;
    batch.items.push_back({id, request});
  }
  return batch;
}

TEST(ProtocolBatches, OfOpenAiAreAFileFirst) {
  const ProviderConfig config = config_of("openai");
  const ProtocolHandler& handler = handler_for(config);
  const HttpRequest upload = handler.batch_upload(config, two_items("gpt-4.1")).value();
  EXPECT_EQ(upload.path, "/files");
  EXPECT_EQ(upload.content_type, "multipart/form-data; boundary=taut-batch");
  EXPECT_EQ(
      upload.body,
      "--taut-batch\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
      "--taut-batch\r\nContent-Disposition: form-data; name=\"file\"; filename=\"batch.jsonl\"\r\n"
      "Content-Type: application/jsonl\r\n\r\n"
      R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4.1","messages":[{"role":"user","content":"Hello"}],"max_completion_tokens":10}})"
      "\n"
      R"({"custom_id":"b","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4.1","messages":[{"role":"user","content":"Hello"}],"max_completion_tokens":10}})"
      "\n\r\n--taut-batch--\r\n");
  HttpAnswer answer;
  answer.status = 200;
  answer.body = R"({"id":"file-1","object":"file"})";
  const HttpRequest create = handler.create_batch(config, {}, &answer);
  EXPECT_EQ(create.path, "/batches");
  EXPECT_EQ(
      create.body,
      R"({"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h"})");
  EXPECT_THROW(handler.create_batch(config, {}, nullptr), ProviderError);
}

TEST(ProtocolBatches, ABoundaryIsNowhereInTheFile) {
  const ProviderConfig config = config_of("openai");
  BatchRequest batch = two_items("gpt-4.1");
  batch.items[0].request.messages = {Message::user("taut-batch")};
  const HttpRequest upload = handler_for(config).batch_upload(config, batch).value();
  EXPECT_EQ(upload.content_type, "multipart/form-data; boundary=taut-batch-0");
}

TEST(ProtocolBatches, OfOpenAiHaveTwoFilesOfResults) {
  const ProviderConfig config = config_of("openai");
  const ProtocolHandler& handler = handler_for(config);
  const BatchStatus status = handler.parse_batch(config, golden_answer("openai/batch.json"));
  EXPECT_EQ(status.state, BatchStatus::State::done);
  EXPECT_EQ(status.completed, 2);
  const std::vector<HttpRequest> requests = handler.batch_results(config, status);
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].path, "/files/file-out/content");
  EXPECT_EQ(requests[1].path, "/files/file-err/content");
  EXPECT_EQ(requests[1].method, "GET");
  const auto results =
      handler.parse_batch_results(config, golden_answer("openai/batch_results.jsonl"));
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].id, "b");
  EXPECT_EQ(results[0].response->text(), "Yes.");
  EXPECT_EQ(results[0].response->request_id, "req_b");
  EXPECT_EQ(results[1].error->kind, ErrorKind::invalid_request);
  EXPECT_EQ(results[1].error->param, "messages");
  EXPECT_EQ(results[2].error->vendor_code, "batch_expired");
  EXPECT_FALSE(results[2].response.has_value());
}

TEST(ProtocolBatches, OfAnthropicAreOneBody) {
  const ProviderConfig config = config_of("anthropic");
  const ProtocolHandler& handler = handler_for(config);
  EXPECT_FALSE(handler.batch_upload(config, {}).has_value());
  const HttpRequest create = handler.create_batch(config, two_items("claude-sonnet-5"), nullptr);
  EXPECT_EQ(create.path, "/v1/messages/batches");
  const SortedJson body = SortedJson::parse(create.body);
  EXPECT_EQ(body["requests"][1]["custom_id"], "b");
  EXPECT_EQ(body["requests"][1]["params"]["model"], "claude-sonnet-5");
  HttpAnswer answer;
  answer.status = 200;
  answer.body =
      R"({"id":"msgbatch_1","type":"message_batch","processing_status":"ended","request_counts":{"processing":0,"succeeded":1,"errored":1,"canceled":1,"expired":1}})";
  const BatchStatus status = handler.parse_batch(config, answer);
  EXPECT_EQ(status.total, 4);
  EXPECT_EQ(status.failed, 3);
  EXPECT_EQ(handler.batch_results(config, status)[0].path,
            "/v1/messages/batches/msgbatch_1/results");
  const auto results =
      handler.parse_batch_results(config, golden_answer("anthropic/batch_results.jsonl"));
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0].error->kind, ErrorKind::invalid_request);
  EXPECT_EQ(results[1].response->text(), "Yes.");
  EXPECT_EQ(results[2].error->kind, ErrorKind::cancelled);
  EXPECT_EQ(results[3].error->vendor_type, "expired");
  answer.body = R"({"id":"msgbatch_1","processing_status":"in_progress"})";
  EXPECT_THROW(handler.batch_results(config, handler.parse_batch(config, answer)), ProviderError);
}

TEST(ProtocolBatches, OfGeminiAreOneOperation) {
  const ProviderConfig config = config_of("gemini");
  const ProtocolHandler& handler = handler_for(config);
  const HttpRequest create = handler.create_batch(config, two_items("gemini-3-flash"), nullptr);
  EXPECT_EQ(create.path, "/v1/models/gemini-3-flash:batchGenerateContent");
  const SortedJson body = SortedJson::parse(create.body);
  const SortedJson& requests = body["batch"]["inputConfig"]["requests"]["requests"];
  EXPECT_EQ(requests[1]["metadata"]["key"], "b");
  BatchRequest mixed = two_items("gemini-3-flash");
  mixed.items[1].request.model = "gemini-3-pro";
  EXPECT_THROW(handler.create_batch(config, mixed, nullptr), ProviderError);
  const HttpAnswer answer = golden_answer("gemini/batch.json");
  const BatchStatus status = handler.parse_batch(config, answer);
  EXPECT_EQ(status.state, BatchStatus::State::done);
  EXPECT_EQ(status.total, 2);
  EXPECT_EQ(handler.batch_results(config, status)[0].path, "/v1/batches/b1");
  EXPECT_EQ(handler.batch(config, "b1").path, "/v1/batches/b1");
  EXPECT_EQ(handler.cancel_batch(config, "batches/b1").path, "/v1/batches/b1:cancel");
  const auto results = handler.parse_batch_results(config, answer);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].response->text(), "Yes.");
  EXPECT_EQ(results[1].id, "b");
  EXPECT_EQ(results[1].error->kind, ErrorKind::invalid_request);
}

TEST(ProtocolBatches, HaveSoundItemsOrAreRefused) {
  for (const std::string_view folder : {"openai", "anthropic", "gemini", "xai", "perplexity"}) {
    const ProviderConfig config = config_of(folder);
    const ProtocolHandler& handler = handler_for(config);
    const auto make = [&](const BatchRequest& batch) {
      if (!handler.batch_upload(config, batch)) handler.create_batch(config, batch, nullptr);
    };
    BatchRequest twice = two_items("m"), nameless = two_items("m"), lacking = two_items("m");
    twice.items[1].id = "a";
    nameless.items[0].id = "";
    lacking.items[0].request.seed = 1;
    lacking.items[0].request.top_k = 1;
    lacking.items[0].request.user = "u";
    lacking.items[0].request.features = FeaturePolicy::drop_with_warning;
    EXPECT_THROW(make({}), ProviderError);
    EXPECT_THROW(make(twice), ProviderError);
    EXPECT_THROW(make(nameless), ProviderError);
    EXPECT_THROW(make(lacking), ProviderError);
  }
  for (const std::string_view folder : {"vllm", "ollama", "llama_cpp"}) {
    const ProviderConfig config = config_of(folder);
    EXPECT_THROW(handler_for(config).batch_upload(config, two_items("m")), ProviderError);
    EXPECT_THROW(handler_for(config).batch(config, "b"), ProviderError);
  }
}

TEST(ProtocolBatches, StatesOfAllProviders) {
  using State = BatchStatus::State;
  const auto state = [](std::string_view folder, const std::string& body) {
    const ProviderConfig config = config_of(folder);
    HttpAnswer answer;
    answer.status = 200;
    answer.body = body;
    return handler_for(config).parse_batch(config, answer).state;
  };
  const std::pair<std::string, State> openai[] = {
      {"validating", State::waiting}, {"in_progress", State::running},
      {"finalizing", State::running}, {"completed", State::done},
      {"failed", State::failed},      {"expired", State::expired},
      {"cancelling", State::running}, {"cancelled", State::cancelled}};
  for (const auto& [word, expected] : openai) {
    EXPECT_EQ(state("openai", R"({"id":"b","status":")" + word + "\"}"), expected) << word;
  }
  const std::pair<std::string, State> gemini[] = {
      {"QUEUED", State::waiting},      {"PENDING", State::waiting}, {"RUNNING", State::running},
      {"SUCCEEDED", State::done},      {"FAILED", State::failed},   {"CANCELLING", State::running},
      {"CANCELLED", State::cancelled}, {"PAUSED", State::waiting},  {"EXPIRED", State::expired}};
  for (const auto& [word, expected] : gemini) {
    for (const std::string prefix : {"JOB_STATE_", "BATCH_STATE_"}) {
      EXPECT_EQ(
          state("gemini", R"({"name":"batches/b","metadata":{"state":")" + prefix + word + "\"}}"),
          expected)
          << word;
    }
  }
}

}  // namespace
}  // namespace taut::ai::testing
