#include "tests/ai/services.h"

namespace taut::ai::test {
namespace {

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

const std::string kOpenAiErrorEvent =
    R"(data: {"error":{"message":"overloaded","type":"server_error","param":null,"code":null}})"
    "\n\n";

const std::string kResponsesOutput =
    R"("output":[{"type":"message","id":"m1","role":"assistant","status":"completed","content":[)"
    R"({"type":"output_text","text":"Hi there","annotations":[]}]}])";
const std::string kResponsesAnswer =
    R"({"id":"r1","object":"response","created_at":1,"status":"completed","error":null,)"
    R"("incomplete_details":null,"model":"m",)" +
    kResponsesOutput + R"(,"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}})";

}  // namespace

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
       .quota = kOpenAiQuota,
       .error_event = kOpenAiErrorEvent,
       .first_text = 1},
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
       .quota = kOpenAiQuota,
       .error_event =
           responses_event(2, "error", R"(,"code":"server_error","message":"no","param":null)"),
       .first_text = 2},
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
       .quota = R"({"type":"error","error":{"type":"rate_limit_error","message":"no",)"
                R"("details":{"error_code":"enforced_spend_limit_reached"}},"request_id":"req_1"})",
       .error_event =
           anthropic_event("error", R"(,"error":{"type":"overloaded_error","message":"no"})"),
       .first_text = 4},
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
                R"({"quotaId":"GenerateRequestsPerDayPerProjectPerModel"}]}]}})",
       .error_event =
           R"(data: {"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}})"
           "\r\n\r\n",
       .first_text = 1},
      {.name = "xai",
       .config = [] { return ProviderConfig::xai(); },
       .base = "/v1",
       .path = "/v1/chat/completions",
       .stream_path = "/v1/chat/completions",
       .key_header = "authorization",
       .key_prefix = "Bearer ",
       .answer = kChatAnswer,
       .stream = kChatStream,
       .quota = kOpenAiQuota,
       .error_event = kOpenAiErrorEvent,
       .first_text = 1},
      {.name = "perplexity",
       .config = [] { return ProviderConfig::perplexity(); },
       .base = "",
       .path = "/chat/completions",
       .stream_path = "/chat/completions",
       .key_header = "authorization",
       .key_prefix = "Bearer ",
       .answer = kChatAnswer,
       .stream = kChatStream,
       .quota = kOpenAiQuota,
       .error_event = kOpenAiErrorEvent,
       .first_text = 1},
      {.name = "compatible",
       .config = [] { return ProviderConfig::compatible("compatible", "http://127.0.0.1"); },
       .base = "/v1",
       .path = "/v1/chat/completions",
       .stream_path = "/v1/chat/completions",
       .key_header = "authorization",
       .key_prefix = "Bearer ",
       .answer = kChatAnswer,
       .stream = kChatStream,
       .quota = kOpenAiQuota,
       .error_event = kOpenAiErrorEvent,
       .first_text = 1},
  };
  return all;
}

ProviderConfig Service::config_at(const std::string& url, const std::string& key) const {
  ProviderConfig made = config();
  made.base_url = url + base;
  made.key = Secret::of(key);
  return made;
}

std::string Service::events(size_t count) const {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += stream[i];
  return text;
}

ChatRequest service_request(const std::string& text) {
  return {.model = "m", .messages = {Message::user(text)}, .max_output_tokens = 100};
}

}  // namespace taut::ai::test
