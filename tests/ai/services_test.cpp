// Every protocol over the wire: the same answers and the same faults from a server that speaks as
// each vendor does.

#include <gtest/gtest.h>

#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"

namespace taut::ai::test {
namespace {

const std::string kKey = "marker-key-abcdefgh-0123";

struct Service {
  std::string name;
  ProviderConfig (*config)();
  std::string base;  // of its paths
  std::string path, stream_path;
  std::string key_header, key_prefix;
  std::string answer;               // says "Hi there"
  std::vector<std::string> stream;  // the same in events; complete with the last alone
  std::string quota;                // the body of a 429 that no waiting helps
};

std::string chat_event(const std::string& delta, const std::string& reason) {
  return R"(data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[)"
         R"({"index":0,"delta":)" +
         delta + R"(,"finish_reason":)" + reason + "}]}\n\n";
}

std::string anthropic_event(const std::string& type, const std::string& rest) {
  return "event: " + type + "\ndata: {\"type\":\"" + type + "\"" + rest + "}   \n\n";
}

std::string gemini_event(const std::string& text, const std::string& rest) {
  return R"(data: {"candidates":[{"content":{"parts":[{"text":")" + text +
         R"("}],"role":"model"},"index":0)" + rest + "}],\"modelVersion\":\"m\"}\r\n\r\n";
}

std::string responses_event(int number, const std::string& type, const std::string& rest) {
  return "event: " + type + "\ndata: {\"type\":\"" + type +
         "\",\"sequence_number\":" + std::to_string(number) + rest + "}\n\n";
}

const std::string kChatAnswer =
    R"({"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":)"
    R"({"role":"assistant","content":"Hi there"},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})";
const std::vector<std::string> kChatStream = {
    chat_event(R"({"role":"assistant","content":"Hi"})", "null"),
    chat_event(R"({"content":" there"})", "null"),
    chat_event("{}", "\"stop\"") + "data: [DONE]\n\n",
};
const std::string kOpenAiQuota =
    R"({"error":{"message":"You exceeded your current quota","type":"insufficient_quota",)"
    R"("param":null,"code":"insufficient_quota"}})";

const std::string kResponsesOutput =
    R"("output":[{"type":"message","id":"m1","role":"assistant","status":"completed","content":[)"
    R"({"type":"output_text","text":"Hi there","annotations":[]}]}])";
const std::string kResponsesAnswer =
    R"({"id":"r1","object":"response","created_at":1,"status":"completed","error":null,)"
    R"("incomplete_details":null,"model":"m",)" +
    kResponsesOutput + R"(,"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}})";

const std::vector<Service>& services() {
  static const std::vector<Service> all = {
      {.name = "openai",
       .config = [] { return ProviderConfig::openai(); },
       .base = "/v1",
       .path = "/v1/chat/completions",
       .stream_path = "/v1/chat/completions",
       .key_header = "authorization",
       .key_prefix = "Bearer ",
       .answer = kChatAnswer,
       .stream = kChatStream,
       .quota = kOpenAiQuota},
      {.name = "responses",
       .config = [] { return ProviderConfig::openai(Protocol::openai_responses); },
       .base = "/v1",
       .path = "/v1/responses",
       .stream_path = "/v1/responses",
       .key_header = "authorization",
       .key_prefix = "Bearer ",
       .answer = kResponsesAnswer,
       .stream = {responses_event(0, "response.created",
                                  R"(,"response":{"id":"r1","object":"response","status":)"
                                  R"("in_progress","model":"m","output":[]})"),
                  responses_event(1, "response.output_text.delta",
                                  R"(,"item_id":"m1","output_index":0,"content_index":0,)"
                                  R"("delta":"Hi")"),
                  responses_event(2, "response.output_text.delta",
                                  R"(,"item_id":"m1","output_index":0,"content_index":0,)"
                                  R"("delta":" there")"),
                  responses_event(3, "response.completed", ",\"response\":" + kResponsesAnswer)},
       .quota = kOpenAiQuota},
      {.name = "anthropic",
       .config = [] { return ProviderConfig::anthropic(); },
       .base = "",
       .path = "/v1/messages",
       .stream_path = "/v1/messages",
       .key_header = "authorization",
       .key_prefix = "Bearer ",
       .answer =
           R"({"id":"m1","type":"message","role":"assistant","model":"m","content":[)"
           R"({"type":"text","text":"Hi there"}],"stop_reason":"end_turn","stop_sequence":null,)"
           R"("usage":{"input_tokens":1,"output_tokens":2}})",
       .stream = {anthropic_event("message_start",
                                  R"(,"message":{"id":"m1","type":"message","role":"assistant",)"
                                  R"("model":"m","content":[],"stop_reason":null,)"
                                  R"("usage":{"input_tokens":1,"output_tokens":1}})"),
                  anthropic_event("content_block_start",
                                  R"(,"index":0,"content_block":{"type":"text","text":""})"),
                  anthropic_event("ping", ""),
                  anthropic_event("content_block_delta",
                                  R"(,"index":0,"delta":{"type":"text_delta","text":"Hi"})"),
                  anthropic_event("content_block_delta",
                                  R"(,"index":0,"delta":{"type":"text_delta","text":" there"})"),
                  anthropic_event("content_block_stop", R"(,"index":0)"),
                  anthropic_event("message_delta",
                                  R"(,"delta":{"stop_reason":"end_turn","stop_sequence":null},)"
                                  R"("usage":{"output_tokens":2})"),
                  anthropic_event("message_stop", "")},
       .quota =
           R"({"type":"error","error":{"type":"rate_limit_error","message":"no",)"
           R"("details":{"error_code":"enforced_spend_limit_reached"}},"request_id":"req_1"})"},
      {.name = "gemini",
       .config = [] { return ProviderConfig::gemini(); },
       .base = "",
       .path = "/v1/models/m:generateContent",
       .stream_path = "/v1/models/m:streamGenerateContent?alt=sse",
       .key_header = "x-goog-api-key",
       .key_prefix = "",
       .answer = R"({"candidates":[{"content":{"parts":[{"text":"Hi there"}],"role":"model"},)"
                 R"("finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1,)"
                 R"("candidatesTokenCount":2,"totalTokenCount":3},"modelVersion":"m"})",
       .stream = {gemini_event("Hi", ""), gemini_event(" there", R"(,"finishReason":"STOP")")},
       .quota = R"({"error":{"code":429,"message":"no","status":"RESOURCE_EXHAUSTED","details":[)"
                R"({"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[)"
                R"({"quotaId":"GenerateRequestsPerDayPerProjectPerModel"}]}]}})"},
      {.name = "xai",
       .config = [] { return ProviderConfig::xai(); },
       .base = "/v1",
       .path = "/v1/chat/completions",
       .stream_path = "/v1/chat/completions",
       .key_header = "authorization",
       .key_prefix = "Bearer ",
       .answer = kChatAnswer,
       .stream = kChatStream,
       .quota = kOpenAiQuota},
      {.name = "perplexity",
       .config = [] { return ProviderConfig::perplexity(); },
       .base = "",
       .path = "/chat/completions",
       .stream_path = "/chat/completions",
       .key_header = "authorization",
       .key_prefix = "Bearer ",
       .answer = kChatAnswer,
       .stream = kChatStream,
       .quota = kOpenAiQuota},
      {.name = "compatible",
       .config = [] { return ProviderConfig::compatible("compatible", "http://127.0.0.1"); },
       .base = "/v1",
       .path = "/v1/chat/completions",
       .stream_path = "/v1/chat/completions",
       .key_header = "authorization",
       .key_prefix = "Bearer ",
       .answer = kChatAnswer,
       .stream = kChatStream,
       .quota = kOpenAiQuota},
  };
  return all;
}

class ServiceTest : public ::testing::TestWithParam<Service> {
 protected:
  Provider provider(ClientOptions options = {}) {
    Client::Parts parts;
    parts.time = time_;
    client_.emplace(std::move(options), parts);
    ProviderConfig config = GetParam().config();
    config.base_url = server_.url() + GetParam().base;
    config.key = Secret::of(kKey);
    return client_->provider(config);
  }
  static ChatRequest request() {
    return {.model = "m", .messages = {Message::user("Hello")}, .max_output_tokens = 100};
  }
  static std::string joined(size_t events) {
    std::string text;
    for (size_t i = 0; i < events; ++i) text += GetParam().stream[i];
    return text;
  }
  static std::string whole_stream() { return joined(GetParam().stream.size()); }

  FakeServer server_;
  std::shared_ptr<InstantTime> time_ = std::make_shared<InstantTime>();
  std::optional<Client> client_;
};

TEST_P(ServiceTest, AWholeAnswer) {
  server_.answer(http(200, GetParam().answer));
  const ChatResponse response = provider().chat(request()).get();
  EXPECT_EQ(response.text(), "Hi there");
  EXPECT_EQ(response.finish_reason(), FinishReason::stop);
  EXPECT_EQ(response.usage.output_total, 2);
  const Request sent = server_.requests().at(0);
  EXPECT_EQ(sent.target, GetParam().path);
  EXPECT_EQ(sent.headers.at(GetParam().key_header), GetParam().key_prefix + kKey);
  EXPECT_EQ(sent.target.find(kKey), std::string::npos);
  EXPECT_EQ(sent.body.find(kKey), std::string::npos);
  EXPECT_EQ(sent.head.find(kKey), sent.head.rfind(kKey)) << "the key goes in one header alone";
}

TEST_P(ServiceTest, AStreamInSmallPieces) {
  server_.answer(Script{send(http_open(200)), send_slowly(whole_stream(), 7, 0), close()});
  const ChatStream stream = provider().stream(request());
  EXPECT_EQ(listen_to(stream).text, "Hi there");
  EXPECT_EQ(stream.response().text(), "Hi there");
  EXPECT_EQ(stream.response().finish_reason(), FinishReason::stop);
  EXPECT_EQ(server_.requests().at(0).target, GetParam().stream_path);
}

TEST_P(ServiceTest, AStreamCutAfterEachOfItsEvents) {
  for (size_t events = 0; events < GetParam().stream.size(); ++events) {
    server_.answer(Script{send(http_open(200) + joined(events)), close()});
    const Provider service = provider({.max_retries = 0});
    const Heard heard = listen_to(service.stream(request()));
    ASSERT_TRUE(heard.error) << events;
    EXPECT_EQ(heard.error->kind, ErrorKind::truncated_stream) << events;
    EXPECT_EQ(heard.error->partial_output, !heard.text.empty());
  }
}

TEST_P(ServiceTest, AStreamResetWithinAnEvent) {
  const std::string all = whole_stream();
  server_.answer(Script{send(http_open(200) + all.substr(0, all.size() / 2)), wait(0.02), reset()});
  const Heard heard = listen_to(provider({.max_retries = 0}).stream(request()));
  ASSERT_TRUE(heard.error);
  EXPECT_EQ(heard.error->kind, ErrorKind::truncated_stream);
}

TEST_P(ServiceTest, LimitsPass) {
  for (const bool is_stream : {false, true}) {
    server_.answer(http(429, R"({"error":{"message":"slow down"}})", "retry-after: 2\r\n"));
    server_.answer(is_stream ? http_open(200) + whole_stream() : http(200, GetParam().answer));
    const size_t before = time_->pauses().size();
    const Provider service = provider();
    if (is_stream) {
      const ChatStream stream = service.stream(request());
      EXPECT_TRUE(stream.next()) << "the head and the first event";
      stream.cancel();
    } else {
      EXPECT_EQ(service.chat(request()).get().attempts, 2);
    }
    ASSERT_EQ(time_->pauses().size(), before + 1);
    EXPECT_EQ(time_->pauses().back(), 2);
  }
}

TEST_P(ServiceTest, AnEmptyPurseDoesNot) {
  server_.answer(http(429, GetParam().quota));
  const Provider service = provider();
  EXPECT_EQ(error_of([&] { service.chat(request()).get(); }).kind, ErrorKind::quota_exhausted);
  EXPECT_EQ(listen_to(service.stream(request())).error->kind, ErrorKind::quota_exhausted);
  EXPECT_EQ(server_.requests().size(), 2u) << "none was repeated";
}

TEST_P(ServiceTest, AProxysPageInsteadOfAnError) {
  server_.answer(http(502, "<html>bad gateway " + kKey + "</html>", {}, "text/html"));
  const ErrorDetails error = error_of([&] { provider().chat(request()).get(); });
  EXPECT_EQ(error.kind, ErrorKind::server_error);
  EXPECT_EQ(error.http_status, 502);
  EXPECT_EQ(error.attempts, 3);
  EXPECT_EQ(std::string(ProviderError(error).what()).find(kKey.substr(0, 8)), std::string::npos);
}

TEST_P(ServiceTest, AnswersThatAreNoJson) {
  for (const std::string body : {"", "{", "null", "[]", "<html>", "{\"choices\":7}"}) {
    server_.answer(http(200, body));
    const ErrorDetails error =
        error_of([&] { provider({.max_retries = 0}).chat(request()).get(); });
    EXPECT_EQ(error.kind, ErrorKind::malformed_response) << body;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ServiceTest, ::testing::ValuesIn(services()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace taut::ai::test
