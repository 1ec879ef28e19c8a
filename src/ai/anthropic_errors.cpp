#include "src/ai/anthropic_errors.h"

#include "src/ai/error_kinds.h"

namespace taut::ai {
namespace {

struct Word {
  std::string_view word;
  ErrorKind kind;
};

// error.details.error_code, which says more than the type.
constexpr Word kCodes[] = {
    {"ramp_limit_exceeded", ErrorKind::rate_limited},
    {"enforced_spend_limit_reached", ErrorKind::quota_exhausted},
    {"contract_spend_limit_reached", ErrorKind::quota_exhausted},
    {"linked_organization_spend_limit_reached", ErrorKind::quota_exhausted},
    {"linked_organization_billing_unavailable", ErrorKind::quota_exhausted},
    {"organization_on_hold", ErrorKind::permission},
    {"request_body_too_large_after_decoding", ErrorKind::request_too_large},
};

constexpr Word kTypes[] = {
    {"invalid_request_error", ErrorKind::invalid_request},
    {"authentication_error", ErrorKind::auth},
    {"billing_error", ErrorKind::quota_exhausted},
    {"permission_error", ErrorKind::permission},
    {"not_found_error", ErrorKind::not_found},
    {"conflict_error", ErrorKind::server_error},
    {"request_too_large", ErrorKind::request_too_large},
    {"rate_limit_error", ErrorKind::rate_limited},
    {"api_error", ErrorKind::server_error},
    {"timeout_error", ErrorKind::server_error},
    {"overloaded_error", ErrorKind::overloaded},
};

template <size_t n>
std::optional<ErrorKind> look_up(const Word (&words)[n], std::string_view word) {
  for (const Word& known : words) {
    if (known.word == word) return known.kind;
  }
  return std::nullopt;
}

/// The parameter that "temperature: Extra inputs are not permitted" names, or nothing.
std::string parameter_not_permitted(std::string_view message) {
  const size_t colon = message.find(": Extra inputs are not permitted");
  return colon == std::string_view::npos ? std::string() : std::string(message.substr(0, colon));
}

/// A request that is wrong has no code for what is wrong about it; these two are worth telling
/// apart.
void refine(ErrorDetails& details) {
  if (details.kind != ErrorKind::invalid_request) return;
  details.param = parameter_not_permitted(details.message);
  if (!details.param.empty()) details.kind = ErrorKind::unsupported_parameter;
  const std::string_view message = details.message;
  if (message.substr(0, 18) == "prompt is too long" || is_about_context(message)) {
    details.kind = ErrorKind::context_length;
  }
}

}  // namespace

bool is_anthropic_error(const Json& json) {
  const Json& error = member(json, "error");
  return view_of(json, "type") == "error" || error.is_string() ||
         (error.is_object() && !error.empty());
}

ErrorDetails anthropic_error(const ProviderConfig& config, const Json& json, int status) {
  const Json& error = member(json, "error");
  ErrorDetails details;
  details.provider = config.name;
  details.http_status = status;
  details.vendor_type = text_of(error, "type");
  details.vendor_code = text_of(error, "details", "error_code");
  details.message = as<std::string>(error).value_or(text_of(error, "message"));
  if (details.message.empty()) details.message = text_of(json, "message");
  details.message = capped_message(details.message);
  details.request_id = text_of(json, "request_id");
  details.kind = kind_of_status(status);
  if (const auto kind = look_up(kTypes, details.vendor_type)) details.kind = *kind;
  if (const auto kind = look_up(kCodes, details.vendor_code)) details.kind = *kind;
  refine(details);
  return details;
}

ErrorDetails parse_anthropic_error(const ProviderConfig& config, const HttpAnswer& answer) {
  const std::optional<JsonDocument> json = parse_json(answer.body);
  if (!json || !is_anthropic_error(json->root())) return error_without_json(config, answer);
  ErrorDetails details = anthropic_error(config, json->root(), answer.status);
  if (details.request_id.empty()) details.request_id = answer.header("request-id");
  return details;
}

}  // namespace taut::ai
