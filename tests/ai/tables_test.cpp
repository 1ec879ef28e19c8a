// The providers' words for usage, ends and errors, and what they are here.

#include <gtest/gtest.h>

#include <ostream>

#include "src/ai/base64.h"
#include "src/ai/finish_reason.h"
#include "src/ai/known_models.h"
#include "src/ai/usage.h"
#include "taut/ai/error.h"
#include "tests/ai/golden.h"

namespace taut::ai::testing {
namespace {

using Count = std::optional<int64_t>;
constexpr std::nullopt_t kNone = std::nullopt;

void expect_usage(const Usage& usage, Count input, Count cached, Count written, Count output,
                  Count reasoning, Count total) {
  EXPECT_EQ(usage.input_total, input);
  EXPECT_EQ(usage.input_cached, cached);
  EXPECT_EQ(usage.input_cache_write, written);
  EXPECT_EQ(usage.output_total, output);
  EXPECT_EQ(usage.output_reasoning, reasoning);
  EXPECT_EQ(usage.total, total);
}

UsageNumbers numbers_of(std::string_view text) { return parse_json(text).value().root(); }

TEST(UsageTable, ChatIncludesWhatIsCachedAndThought) {
  const UsageNumbers numbers = numbers_of(
      R"({"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
          "prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":8},
          "completion_tokens_details":{"reasoning_tokens":30}})");
  expect_usage(usage_of_chat(numbers, Vendor::openai), 100, 64, 8, 50, 30, 150);
  expect_usage(usage_of_chat(numbers, Vendor::vllm), 100, 64, 8, 50, 30, 150);
}

TEST(UsageTable, ChatWithoutDetails) {
  const UsageNumbers numbers =
      numbers_of(R"({"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":null})");
  expect_usage(usage_of_chat(numbers, Vendor::ollama), 9, kNone, kNone, 3, kNone, kNone);
  expect_usage(usage_of_chat({}, Vendor::ollama), kNone, kNone, kNone, kNone, kNone, kNone);
}

TEST(UsageTable, GrokCountsThoughtsApart) {
  const Usage usage =
      usage_of_chat(numbers_of(R"({"prompt_tokens":12,"completion_tokens":1,"total_tokens":303,
                  "completion_tokens_details":{"reasoning_tokens":290},"cost_in_usd_ticks":15000000})"),
                    Vendor::xai);
  expect_usage(usage, 12, kNone, kNone, 291, 290, 303);
  EXPECT_DOUBLE_EQ(usage.cost.value(), 0.0015);
}

TEST(UsageTable, GrokCountsThemTogetherInResponses) {
  expect_usage(
      usage_of_responses(numbers_of(R"({"input_tokens":1941,"output_tokens":583,"total_tokens":2524,
                              "output_tokens_details":{"reasoning_tokens":380}})")),
      1941, kNone, kNone, 583, 380, 2524);
}

TEST(UsageTable, Responses) {
  expect_usage(
      usage_of_responses(numbers_of(
          R"({"input_tokens":75,"input_tokens_details":{"cached_tokens":16,"cache_write_tokens":3},
              "output_tokens":40,"output_tokens_details":{"reasoning_tokens":24},"total_tokens":115})")),
      75, 16, 3, 40, 24, 115);
}

TEST(UsageTable, PerplexityTellsTheCost) {
  const Usage usage = usage_of_chat(
      numbers_of(
          R"({"prompt_tokens":11,"completion_tokens":6,"total_tokens":17,"reasoning_tokens":3,
                  "cost":{"total_cost":0.006}})"),
      Vendor::perplexity);
  expect_usage(usage, 11, kNone, kNone, 6, 3, 17);
  EXPECT_DOUBLE_EQ(usage.cost.value(), 0.006);
}

TEST(UsageTable, ClaudeCountsTheCacheApart) {
  expect_usage(
      usage_of_anthropic(numbers_of(
          R"({"input_tokens":12,"cache_read_input_tokens":30,"cache_creation_input_tokens":100,
                       "output_tokens":47,"output_tokens_details":{"thinking_tokens":20}})")),
      142, 30, 100, 47, 20, kNone);
  expect_usage(usage_of_anthropic(numbers_of(
                   R"({"input_tokens":5,"output_tokens":3,"cache_read_input_tokens":null})")),
               5, kNone, kNone, 3, kNone, kNone);
}

TEST(UsageTable, GeminiCountsThoughtsApart) {
  expect_usage(usage_of_gemini(numbers_of(
                   R"({"promptTokenCount":9,"candidatesTokenCount":28,"thoughtsTokenCount":244,
                       "totalTokenCount":281,"toolUsePromptTokenCount":5,"cachedContentTokenCount":4})")),
               14, 4, kNone, 272, 244, 281);
  expect_usage(usage_of_gemini(numbers_of(R"({"promptTokenCount":9,"thoughtsTokenCount":100})")), 9,
               kNone, kNone, 100, 100, kNone);
}

TEST(UsageTable, MakesNoSenseOfNonsense) {
  const UsageNumbers numbers = numbers_of(
      R"({"prompt_tokens":-1,"completion_tokens":"3","total_tokens":1e30,
          "completion_tokens_details":{"reasoning_tokens":2.5},"cost":{"total_cost":-1}})");
  const Usage usage = usage_of_chat(numbers, Vendor::xai);
  expect_usage(usage, kNone, kNone, kNone, kNone, kNone, kNone);
  EXPECT_EQ(usage.cost, std::nullopt);
  const UsageNumbers huge = numbers_of(
      R"({"input_tokens":9223372036854775807,"cache_read_input_tokens":9223372036854775807})");
  EXPECT_EQ(usage_of_anthropic(huge).input_total, std::nullopt);
}

TEST(UsageTable, LastWordCounts) {
  UsageNumbers usage;
  for (const std::string_view word :
       {R"({"input_tokens":10,"cache_read_input_tokens":3,"output_tokens":1})",
        R"({"output_tokens":20,"cache_read_input_tokens":null})",
        R"({"input_tokens":12,"output_tokens":47})", "7"}) {
    usage.add(parse_json(word).value().root());
  }
  expect_usage(usage_of_anthropic(usage), 15, 3, kNone, 47, kNone, kNone);
}

TEST(FinishTable, Words) {
  using Reason = FinishReason;
  const std::pair<std::string_view, Reason> chat[] = {{"stop", Reason::stop},
                                                      {"length", Reason::length},
                                                      {"tool_calls", Reason::tool_calls},
                                                      {"function_call", Reason::tool_calls},
                                                      {"content_filter", Reason::content_filter},
                                                      {"abort", Reason::unknown},
                                                      {"load", Reason::unknown},
                                                      {"", Reason::unknown}};
  for (const auto& [word, reason] : chat) EXPECT_EQ(finish_reason_of_chat(word), reason) << word;
  const std::pair<std::string_view, Reason> anthropic[] = {
      {"end_turn", Reason::stop},       {"stop_sequence", Reason::stop},
      {"max_tokens", Reason::length},   {"model_context_window_exceeded", Reason::length},
      {"tool_use", Reason::tool_calls}, {"refusal", Reason::content_filter},
      {"pause_turn", Reason::paused},   {"new_reason", Reason::unknown}};
  for (const auto& [word, reason] : anthropic) {
    EXPECT_EQ(finish_reason_of_anthropic(word), reason) << word;
  }
  for (const std::string_view word :
       {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
        "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"}) {
    EXPECT_EQ(finish_reason_of_gemini(word), Reason::content_filter) << word;
  }
  for (const std::string_view word : {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL",
                                      "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"}) {
    EXPECT_EQ(finish_reason_of_gemini(word), Reason::error) << word;
  }
  for (const std::string_view word : {"OTHER", "NO_IMAGE", "IMAGE_OTHER", "CONTINUATION", "NEW"}) {
    EXPECT_EQ(finish_reason_of_gemini(word), Reason::unknown) << word;
  }
  EXPECT_EQ(finish_reason_of_gemini("STOP"), Reason::stop);
  EXPECT_EQ(finish_reason_of_gemini("MAX_TOKENS"), Reason::length);
  EXPECT_EQ(finish_reason_of_responses("completed", ""), Reason::stop);
  EXPECT_EQ(finish_reason_of_responses("incomplete", "max_output_tokens"), Reason::length);
  EXPECT_EQ(finish_reason_of_responses("incomplete", "content_filter"), Reason::content_filter);
  EXPECT_EQ(finish_reason_of_responses("incomplete", "other"), Reason::unknown);
  EXPECT_EQ(finish_reason_of_responses("failed", ""), Reason::error);
  EXPECT_EQ(finish_reason_of_responses("cancelled", ""), Reason::error);
  EXPECT_EQ(finish_reason_of_responses("queued", ""), Reason::unknown);
}

struct ErrorRow {
  std::string_view folder;
  int status;
  std::string_view body;
  ErrorKind kind;
  std::string_view param = "";
};

void PrintTo(const ErrorRow& row, std::ostream* out) { *out << row.folder << " " << row.body; }

class ErrorTable : public ::testing::TestWithParam<ErrorRow> {};

TEST_P(ErrorTable, TellsTheKind) {
  const ErrorRow& row = GetParam();
  const ProviderConfig config = config_of(row.folder);
  HttpAnswer answer;
  answer.status = row.status;
  answer.body = row.body;
  const ErrorDetails details = handler_for(config).parse_error(config, answer);
  EXPECT_EQ(name(details.kind), name(row.kind)) << row.body;
  EXPECT_EQ(details.http_status, row.status);
  EXPECT_EQ(details.provider, config.name);
  EXPECT_EQ(details.param, row.param);
  EXPECT_FALSE(details.message.empty());
}

constexpr std::string_view kQuota =
    R"({"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}})";

const ErrorRow kErrors[] = {
    // OpenAI
    {"openai", 401,
     R"({"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}})",
     ErrorKind::auth},
    {"openai", 429, kQuota, ErrorKind::quota_exhausted},
    {"openai", 429,
     R"({"error":{"message":"No credit.","type":"insufficient_quota","code":"credit_balance_exhausted"}})",
     ErrorKind::quota_exhausted},
    {"openai", 429,
     R"({"error":{"message":"Rate limit reached.","type":"tokens","param":null,"code":"rate_limit_exceeded"}})",
     ErrorKind::rate_limited},
    {"openai", 400,
     R"({"error":{"message":"Unsupported parameter: 'max_tokens'","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}})",
     ErrorKind::unsupported_parameter, "max_tokens"},
    {"openai", 400,
     R"({"error":{"message":"Unsupported value","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}})",
     ErrorKind::unsupported_parameter, "temperature"},
    {"openai", 400,
     R"({"error":{"message":"Unsupported value","type":"invalid_request_error","param":"reasoning_effort","code":"unsupported_value"}})",
     ErrorKind::invalid_request, "reasoning_effort"},
    {"openai", 400,
     R"({"error":{"message":"Too long.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}})",
     ErrorKind::context_length, "messages"},
    {"openai", 400,
     R"({"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error"}})",
     ErrorKind::context_length},
    {"openai", 400,
     R"({"error":{"message":"string too long; maximum context length","type":"invalid_request_error","param":"input","code":"string_above_max_length"}})",
     ErrorKind::invalid_request, "input"},
    {"openai", 400,
     R"({"error":{"message":"Flagged.","type":"invalid_request_error","code":"content_policy_violation"}})",
     ErrorKind::content_policy},
    {"openai", 403,
     R"({"error":{"message":"Country not supported","type":"request_forbidden","code":"unsupported_country_region_territory"}})",
     ErrorKind::permission},
    {"openai", 404,
     R"({"error":{"message":"The model does not exist.","type":"invalid_request_error","param":null,"code":"model_not_found"}})",
     ErrorKind::not_found},
    {"openai", 408, "{}", ErrorKind::server_error},
    {"openai", 409, "{}", ErrorKind::server_error},
    {"openai", 413, "", ErrorKind::request_too_large},
    {"openai", 422, R"({"error":{"message":"Unprocessable."}})", ErrorKind::invalid_request},
    {"openai", 500, R"({"error":{"message":"The server had an error.","type":"server_error"}})",
     ErrorKind::server_error},
    {"openai", 502, "<html><body>Bad gateway</body></html>", ErrorKind::server_error},
    {"openai", 503, R"({"error":{"message":"Overloaded.","type":"service_unavailable"}})",
     ErrorKind::overloaded},
    {"openai", 504, "upstream request timeout", ErrorKind::server_error},
    {"openai", 200, kQuota, ErrorKind::quota_exhausted},
    {"openai", 302, "", ErrorKind::invalid_request},
    {"openai_responses", 429, kQuota, ErrorKind::quota_exhausted},
    // Anthropic
    {"anthropic", 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"temperature: Extra inputs are not permitted"},"request_id":"r"})",
     ErrorKind::unsupported_parameter, "temperature"},
    {"anthropic", 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"messages: too few"}})",
     ErrorKind::invalid_request},
    {"anthropic", 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}})",
     ErrorKind::context_length},
    {"anthropic", 401,
     R"({"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}})",
     ErrorKind::auth},
    {"anthropic", 402, R"({"type":"error","error":{"type":"billing_error","message":"Pay."}})",
     ErrorKind::quota_exhausted},
    {"anthropic", 403, R"({"type":"error","error":{"type":"permission_error","message":"No."}})",
     ErrorKind::permission},
    {"anthropic", 404,
     R"({"type":"error","error":{"type":"not_found_error","message":"model: x"}})",
     ErrorKind::not_found},
    {"anthropic", 409, R"({"type":"error","error":{"type":"conflict_error","message":"No."}})",
     ErrorKind::server_error},
    {"anthropic", 413, "<html>too large</html>", ErrorKind::request_too_large},
    {"anthropic", 413, R"({"type":"error","error":{"type":"request_too_large","message":"Big."}})",
     ErrorKind::request_too_large},
    {"anthropic", 429, R"({"type":"error","error":{"type":"rate_limit_error","message":"Slow."}})",
     ErrorKind::rate_limited},
    {"anthropic", 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"Slow.","details":{"error_code":"ramp_limit_exceeded"}}})",
     ErrorKind::rate_limited},
    {"anthropic", 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"Spent.","details":{"error_code":"enforced_spend_limit_reached"}}})",
     ErrorKind::quota_exhausted},
    {"anthropic", 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"Spent.","details":{"error_code":"contract_spend_limit_reached"}}})",
     ErrorKind::quota_exhausted},
    {"anthropic", 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"Spent.","details":{"error_code":"linked_organization_spend_limit_reached"}}})",
     ErrorKind::quota_exhausted},
    {"anthropic", 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"Spent.","details":{"error_code":"linked_organization_billing_unavailable"}}})",
     ErrorKind::quota_exhausted},
    {"anthropic", 403,
     R"({"type":"error","error":{"type":"permission_error","message":"Hold.","details":{"error_code":"organization_on_hold"}}})",
     ErrorKind::permission},
    {"anthropic", 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"Big.","details":{"error_code":"request_body_too_large_after_decoding"}}})",
     ErrorKind::request_too_large},
    {"anthropic", 500, R"({"type":"error","error":{"type":"api_error","message":"Internal."}})",
     ErrorKind::server_error},
    {"anthropic", 504, R"({"type":"error","error":{"type":"timeout_error","message":"Late."}})",
     ErrorKind::server_error},
    {"anthropic", 529,
     R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
     ErrorKind::overloaded},
    {"anthropic", 529, "", ErrorKind::overloaded},
    {"anthropic", 500, R"({"type":"error","error":null})", ErrorKind::server_error},
    // Gemini
    {"gemini", 400,
     R"({"error":{"code":400,"message":"Invalid value.","status":"INVALID_ARGUMENT"}})",
     ErrorKind::invalid_request},
    {"gemini", 400,
     R"({"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}})",
     ErrorKind::auth},
    {"gemini", 400,
     R"({"error":{"code":400,"message":"Logprobs is not enabled for models/gemini-3-pro","status":"INVALID_ARGUMENT"}})",
     ErrorKind::unsupported_parameter, "logprobs"},
    {"gemini", 400,
     R"({"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}})",
     ErrorKind::context_length},
    {"gemini", 400, R"({"error":{"code":400,"message":"Region.","status":"FAILED_PRECONDITION"}})",
     ErrorKind::invalid_request},
    {"gemini", 402, R"({"error":{"code":402,"message":"Credit.","status":"RESOURCE_EXHAUSTED"}})",
     ErrorKind::quota_exhausted},
    {"gemini", 403, R"({"error":{"code":403,"message":"No.","status":"PERMISSION_DENIED"}})",
     ErrorKind::permission},
    {"gemini", 404, R"({"error":{"code":404,"message":"No model.","status":"NOT_FOUND"}})",
     ErrorKind::not_found},
    {"gemini", 429,
     R"({"error":{"code":429,"message":"Slow.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProject"}]}]}})",
     ErrorKind::rate_limited},
    {"gemini", 429,
     R"([{"error":{"code":429,"message":"Day.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]}]}}])",
     ErrorKind::quota_exhausted},
    {"gemini", 499, R"({"error":{"code":499,"message":"Cancelled.","status":"CANCELLED"}})",
     ErrorKind::server_error},
    {"gemini", 500, R"({"error":{"code":500,"message":"Internal.","status":"INTERNAL"}})",
     ErrorKind::server_error},
    {"gemini", 503, R"({"error":{"code":503,"message":"Busy.","status":"UNAVAILABLE"}})",
     ErrorKind::overloaded},
    {"gemini", 504, R"({"error":{"code":504,"message":"Late.","status":"DEADLINE_EXCEEDED"}})",
     ErrorKind::server_error},
    {"gemini", 503, "busy", ErrorKind::overloaded},
    // xAI: three shapes
    {"xai", 400,
     R"({"code":"Client specified an invalid argument","error":"Argument not supported."})",
     ErrorKind::invalid_request},
    {"xai", 400,
     R"({"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***."})",
     ErrorKind::auth},
    {"xai", 404, R"({"error":"The model grok-9 does not exist."})", ErrorKind::not_found},
    {"xai", 429, R"({"error":{"message":"Slow.","type":"rate_limit","param":null,"code":null}})",
     ErrorKind::rate_limited},
    {"xai", 200, R"({"code":"The service is currently unavailable","error":"Try again."})",
     ErrorKind::overloaded},
    // Perplexity
    {"perplexity", 401,
     R"({"error":{"message":"Invalid API key.","type":"invalid_api_key","code":401}})",
     ErrorKind::auth},
    {"perplexity", 422,
     R"({"detail":[{"loc":["body","messages",0,"role"],"msg":"Input should be 'user'","type":"literal_error"}]})",
     ErrorKind::invalid_request, "messages.0.role"},
    {"perplexity", 429, R"({"error":{"message":"Slow.","type":"requests","code":429}})",
     ErrorKind::rate_limited},
    // Servers of one's own
    {"vllm", 400,
     R"({"error":{"message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}})",
     ErrorKind::context_length},
    {"vllm", 404,
     R"({"object":"error","message":"The model does not exist.","type":"NotFoundError","param":null,"code":404})",
     ErrorKind::not_found},
    {"ollama", 404,
     R"({"error":{"message":"model 'x' not found","type":"not_found_error","param":null,"code":null}})",
     ErrorKind::not_found},
    {"ollama", 500, R"({"error":"llama runner process has terminated"})", ErrorKind::server_error},
    {"llama_cpp", 503,
     R"({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})",
     ErrorKind::overloaded},
    {"llama_cpp", 400,
     R"({"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}})",
     ErrorKind::context_length},
    {"other", 401, R"({"message":"Unauthorized"})", ErrorKind::auth},
    {"other", 403, R"({"detail":"Forbidden"})", ErrorKind::permission},
    {"other", 503, R"([1,2])", ErrorKind::overloaded},
};

std::string row_name(const ::testing::TestParamInfo<ErrorRow>& info) {
  return std::string(info.param.folder) + "_" + std::to_string(info.param.status) + "_" +
         std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(All, ErrorTable, ::testing::ValuesIn(kErrors), row_name);

TEST(Errors, GeminiAsksForAPauseInTheBody) {
  HttpAnswer answer;
  answer.status = 429;
  answer.body =
      R"({"error":{"code":429,"message":"Slow.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}})";
  const ProtocolHandler& gemini = handler_of(Protocol::gemini);
  EXPECT_EQ(gemini.parse_error(config_of("gemini"), answer).retry_after, 34.4);
  for (const std::string_view delay : {"-1s", "1e400s", "nans", "5", "xs", "s", ""}) {
    answer.body =
        R"({"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":")" +
        std::string(delay) + R"("}]}})";
    const ErrorDetails details = gemini.parse_error(config_of("gemini"), answer);
    EXPECT_EQ(details.retry_after, std::nullopt) << delay;
  }
}

TEST(Errors, AreCutAndKeepTheRequest) {
  HttpAnswer answer;
  answer.status = 500;
  std::string message;
  while (message.size() < 10'000) message += "\xC3\xA9";
  answer.body = "{\"error\":{\"message\":\"" + message + "\"}}";
  answer.headers = {{"x-request-id", "req_7"}, {"request-id", "req_8"}};
  const ErrorDetails openai =
      handler_of(Protocol::openai_chat).parse_error(config_of("openai"), answer);
  EXPECT_LE(openai.message.size(), 4096u);
  const std::string quoted = "\"" + openai.message + "\"";
  EXPECT_TRUE(parse_json(quoted).has_value());
  EXPECT_EQ(openai.request_id, "req_7");
  EXPECT_EQ(handler_of(Protocol::anthropic).parse_error(config_of("anthropic"), answer).request_id,
            "req_8");
}

TEST(Base64, IsThatOfTheStandard) {
  const std::pair<std::string, std::string> pairs[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : pairs) {
    EXPECT_EQ(base64_encode(bytes), text);
    const auto decoded = base64_decode(text).value();
    EXPECT_EQ(std::string(decoded.begin(), decoded.end()), bytes);
  }
  EXPECT_EQ(base64_decode("-_8").value(), (std::vector<uint8_t>{0xFB, 0xFF}));
  for (const std::string_view wrong : {"Z", "Zg=a", "Z g=", "Zg===", "\xFF\xFF"}) {
    EXPECT_FALSE(base64_decode(wrong).has_value()) << wrong;
  }
}

TEST(KnownModels, ByFamily) {
  for (const std::string_view model :
       {"o1", "o3-mini", "gpt-5", "gpt-5-mini", "gpt-5.1", "gpt-6", "ft:gpt-5-nano:me"}) {
    EXPECT_TRUE(is_openai_reasoning(model)) << model;
    EXPECT_TRUE(has_developer_role(model)) << model;
  }
  for (const std::string_view model : {"gpt-4o", "gpt-4.1-nano", "gpt-3.5-turbo",
                                       "gpt-5-chat-latest", "omni", "davinci", "gpt-"}) {
    EXPECT_FALSE(is_openai_reasoning(model)) << model;
  }
  EXPECT_FALSE(may_sample_without_reasoning("gpt-5"));
  EXPECT_TRUE(may_sample_without_reasoning("gpt-5.1-codex"));
  EXPECT_TRUE(may_sample_without_reasoning("gpt-6"));
  EXPECT_TRUE(is_grok_reasoning("grok-3-mini"));
  EXPECT_TRUE(is_grok_reasoning("grok-4.20-reasoning"));
  EXPECT_FALSE(is_grok_reasoning("grok-4.20-non-reasoning"));
  EXPECT_FALSE(is_grok_reasoning("grok-3"));
  const auto answer = [](std::string_view folder, const std::string& model, Feature feature) {
    const ProviderConfig config = config_of(folder);
    return handler_for(config).known_capabilities(config, model)[feature];
  };
  EXPECT_EQ(answer("openai", "gpt-5-mini", Feature::temperature), Answer::no);
  EXPECT_EQ(answer("openai", "gpt-5.1", Feature::temperature), Answer::unknown);
  EXPECT_EQ(answer("openai", "gpt-4.1", Feature::temperature), Answer::yes);
  EXPECT_EQ(answer("openai", "text-embedding-3-small", Feature::embeddings), Answer::yes);
  EXPECT_EQ(answer("openai_responses", "gpt-4.1", Feature::stop), Answer::no);
  EXPECT_EQ(answer("anthropic", "claude-sonnet-5", Feature::temperature), Answer::no);
  EXPECT_EQ(answer("anthropic", "claude-sonnet-5", Feature::logprobs), Answer::no);
  EXPECT_EQ(answer("gemini", "gemini-3-pro-preview", Feature::logprobs), Answer::unknown);
  EXPECT_EQ(answer("perplexity", "sonar", Feature::logprobs), Answer::no);
  EXPECT_EQ(answer("vllm", "any", Feature::top_k), Answer::yes);
  EXPECT_EQ(answer("other", "any", Feature::temperature), Answer::unknown);
  EXPECT_EQ(
      handler_for(config_of("xai")).known_capabilities(config_of("xai"), "grok-4").max_top_logprobs,
      8);
}

}  // namespace
}  // namespace taut::ai::testing
