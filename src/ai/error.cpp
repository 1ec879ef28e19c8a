#include "taut/ai/error.h"

#include "taut/base/check.h"

namespace taut::ai {

namespace {

constexpr std::string_view kKindNames[] = {
    "connection",      "timeout_connect",  "timeout_first_byte", "timeout_idle",
    "timeout_total",   "truncated_stream", "stream_error",       "rate_limited",
    "quota_exhausted", "overloaded",       "server_error",       "auth",
    "permission",      "not_found",        "invalid_request",    "unsupported_parameter",
    "context_length",  "content_policy",   "request_too_large",  "malformed_response",
    "tls_verify",      "cancelled",        "budget_exceeded",    "no_healthy_provider",
};
static_assert(std::size(kKindNames) == static_cast<size_t>(ErrorKind::no_healthy_provider) + 1);

/// provider model: kind: what is wrong; got HTTP 429, code ...; request req_1; 3 attempts
std::string sentence(const ErrorDetails& details) {
  std::string text = details.provider.empty() ? "ai" : details.provider;
  if (!details.model.empty()) append(text, concat(" ", details.model));
  append(text, concat(": ", name(details.kind)));
  if (!details.message.empty()) append(text, concat(": ", details.message));
  if (details.http_status != 0) append(text, concat("; got HTTP ", details.http_status));
  if (!details.vendor_code.empty()) append(text, concat("; code ", details.vendor_code));
  if (!details.param.empty()) append(text, concat("; parameter ", details.param));
  if (details.retry_after) append(text, concat("; retry after ", *details.retry_after, " s"));
  if (!details.request_id.empty()) append(text, concat("; request ", details.request_id));
  if (details.attempts > 1) append(text, concat("; ", details.attempts, " attempts"));
  return text;
}

}  // namespace

std::string_view name(ErrorKind kind) {
  const auto index = static_cast<size_t>(kind);
  return index < std::size(kKindNames) ? kKindNames[index] : std::string_view("unknown");
}

ProviderError::ProviderError(ErrorDetails details)
    : Error(sentence(details)), details_(std::move(details)) {}

}  // namespace taut::ai
