#include "src/ai/gemini_errors.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "src/ai/error_kinds.h"

namespace taut::ai {
namespace {

struct Word {
  std::string_view word;
  int code;  // of gRPC, which stands in results of batches
  ErrorKind kind;
};

constexpr Word kWords[] = {
    {"CANCELLED", 1, ErrorKind::server_error},
    {"INVALID_ARGUMENT", 3, ErrorKind::invalid_request},
    {"DEADLINE_EXCEEDED", 4, ErrorKind::server_error},
    {"NOT_FOUND", 5, ErrorKind::not_found},
    {"PERMISSION_DENIED", 7, ErrorKind::permission},
    {"RESOURCE_EXHAUSTED", 8, ErrorKind::rate_limited},
    {"FAILED_PRECONDITION", 9, ErrorKind::invalid_request},
    {"INTERNAL", 13, ErrorKind::server_error},
    {"UNAVAILABLE", 14, ErrorKind::overloaded},
    {"UNAUTHENTICATED", 16, ErrorKind::auth},
};

bool holds(std::string_view text, std::string_view piece) {
  return text.find(piece) != std::string_view::npos;
}

bool is_of_type(const Json& detail, std::string_view type) {
  const std::string name = text_of(detail, "@type");
  return name.size() >= type.size() &&
         name.compare(name.size() - type.size(), type.size(), type) == 0;
}

/// "34.4s".
std::optional<double> seconds_of(std::string_view text) {
  if (text.empty() || text.back() != 's') return std::nullopt;
  text.remove_suffix(1);
  double seconds = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool is_whole = result.ec == std::errc() && result.ptr == text.data() + text.size();
  return is_whole && std::isfinite(seconds) && seconds >= 0 ? std::optional(seconds) : std::nullopt;
}

std::optional<double> retry_delay(const Json& error) {
  for (const Json& detail : elements(error, "details")) {
    if (is_of_type(detail, "google.rpc.RetryInfo"))
      return seconds_of(text_of(detail, "retryDelay"));
  }
  return std::nullopt;
}

/// Whether what is used up comes back only tomorrow.
bool is_daily_quota(const Json& error) {
  for (const Json& detail : elements(error, "details")) {
    for (const Json& violation : elements(detail, "violations")) {
      if (holds(text_of(violation, "quotaId"), "PerDay")) return true;
    }
  }
  return false;
}

std::string reason_of(const Json& error) {
  for (const Json& detail : elements(error, "details")) {
    if (is_of_type(detail, "google.rpc.ErrorInfo")) return text_of(detail, "reason");
  }
  return {};
}

std::optional<ErrorKind> kind_of_word(std::string_view word, int64_t code) {
  for (const Word& known : kWords) {
    if (known.word == word || (word.empty() && known.code == code)) return known.kind;
  }
  return std::nullopt;
}

/// A request that is wrong has no code for what is wrong about it.
void refine(ErrorDetails& details) {
  const std::string_view message = details.message;
  if (details.vendor_code == "API_KEY_INVALID" || holds(message, "API key not valid")) {
    details.kind = ErrorKind::auth;
  }
  if (details.kind != ErrorKind::invalid_request) return;
  if (holds(message, "Logprobs is not")) {
    details.kind = ErrorKind::unsupported_parameter;
    details.param = "logprobs";
  }
  if (holds(message, "exceeds the maximum number of tokens") || is_about_context(message)) {
    details.kind = ErrorKind::context_length;
  }
}

/// An array of one is what it holds.
const Json& unwrapped(const Json& json) {
  return json.is_array() && !json.empty() ? json.front() : json;
}

}  // namespace

bool is_gemini_error(const Json& json) {
  const Json& error = member(json, "error");
  return error.is_string() || (error.is_object() && !error.empty());
}

ErrorDetails gemini_error(const ProviderConfig& config, const Json& json, int status) {
  const Json& error = member(json, "error");
  const int64_t code = get<int64_t>(error, "code").value_or(0);
  ErrorDetails details;
  details.provider = config.name;
  details.http_status = status;
  details.vendor_type = text_of(error, "status");
  details.vendor_code = reason_of(error);
  details.message = as<std::string>(error).value_or(text_of(error, "message"));
  details.message = capped_message(details.message);
  details.retry_after = retry_delay(error);
  const int told =
      status >= 300 ? status : (code >= 400 && code < 600 ? static_cast<int>(code) : 0);
  details.kind = kind_of_word(details.vendor_type, code).value_or(kind_of_status(told));
  // Credit that was paid before and is gone has the word of a rate limit.
  const bool is_used_up = told == 402 || is_daily_quota(error);
  if (details.kind == ErrorKind::rate_limited && is_used_up) {
    details.kind = ErrorKind::quota_exhausted;
  }
  refine(details);
  return details;
}

ErrorDetails parse_gemini_error(const ProviderConfig& config, const HttpAnswer& answer) {
  const std::optional<JsonDocument> json = parse_json(answer.body);
  if (!json || !is_gemini_error(unwrapped(json->root()))) {
    return error_without_json(config, answer);
  }
  return gemini_error(config, unwrapped(json->root()), answer.status);
}

}  // namespace taut::ai
