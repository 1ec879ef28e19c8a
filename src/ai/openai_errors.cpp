#include "src/ai/openai_errors.h"

#include <utility>

#include "src/ai/error_kinds.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

struct Word {
  std::string_view word;
  ErrorKind kind;
};

// Codes and types, as far as they say more than the status does.
constexpr Word kWords[] = {
    {"insufficient_quota", ErrorKind::quota_exhausted},
    {"credit_balance_exhausted", ErrorKind::quota_exhausted},
    {"billing_hard_limit_reached", ErrorKind::quota_exhausted},
    {"billing_not_active", ErrorKind::quota_exhausted},
    {"context_length_exceeded", ErrorKind::context_length},
    {"exceed_context_size_error", ErrorKind::context_length},
    {"string_above_max_length", ErrorKind::invalid_request},
    {"content_policy_violation", ErrorKind::content_policy},
    {"content_filter", ErrorKind::content_policy},
    {"invalid_prompt", ErrorKind::content_policy},
    {"unsupported_parameter", ErrorKind::unsupported_parameter},
    {"invalid_api_key", ErrorKind::auth},
    {"authentication_error", ErrorKind::auth},
    {"permission_error", ErrorKind::permission},
    {"model_not_found", ErrorKind::not_found},
    {"not_found_error", ErrorKind::not_found},
    {"rate_limit_exceeded", ErrorKind::rate_limited},
    {"rate_limit_error", ErrorKind::rate_limited},
    {"unavailable_error", ErrorKind::overloaded},
    {"overloaded_error", ErrorKind::overloaded},
    {"The service is currently unavailable", ErrorKind::overloaded},
    {"Client specified an invalid argument", ErrorKind::invalid_request},
    {"invalid_request_error", ErrorKind::invalid_request},
    {"BadRequestError", ErrorKind::invalid_request},
    {"server_error", ErrorKind::server_error},
};

std::optional<ErrorKind> kind_of_word(std::string_view word) {
  for (const Word& known : kWords) {
    if (known.word == word) return known.kind;
  }
  return std::nullopt;
}

/// A number or a string.
std::string code_of(const Json& json) {
  if (const std::optional<int64_t> number = as<int64_t>(json)) return std::to_string(*number);
  return as<std::string>(json).value_or(std::string());
}

/// [{"loc": [...], "msg": "...", "type": "..."}], as validation by FastAPI reports it.
void read_validation(const Json& detail, ErrorDetails& details) {
  if (const auto text = as<std::string>(detail)) details.message = *text;
  if (!detail.is_array()) return;
  for (const Json& item : detail) {
    if (!details.message.empty()) details.message += "; ";
    details.message += text_of(item, "msg");
    if (!details.param.empty()) continue;
    for (const Json& step : elements(item, "loc")) {
      const std::string name = code_of(step);
      if (name == "body" || name.empty()) continue;
      if (!details.param.empty()) details.param += ".";
      details.param += name;
    }
    details.vendor_type = text_of(item, "type");
  }
}

void read_words(const Json& json, ErrorDetails& details) {
  const Json& error = member(json, "error");
  if (error.is_object()) {
    details.message = text_of(error, "message");
    details.vendor_type = text_of(error, "type");
    details.vendor_code = code_of(member(error, "code"));
    details.param = text_of(error, "param");
    return;
  }
  details.message = as<std::string>(error).value_or(text_of(json, "message"));
  details.vendor_code = code_of(member(json, "code"));
  details.vendor_type = text_of(json, "type");
  details.param = text_of(json, "param");
  if (json.contains("detail")) read_validation(member(json, "detail"), details);
}

/// The status of the answer, or the one that stands in the code of an error inside a good answer.
int status_of(const ErrorDetails& details, int status) {
  if (status >= 300) return status;
  int code = 0;
  for (const char c : details.vendor_code) {
    if (c < '0' || c > '9' || code > 999) return status;
    code = code * 10 + (c - '0');
  }
  return code >= 400 && code < 600 ? code : status;
}

/// Values that a model does not take: for these two it takes none but its own.
bool is_fixed_parameter(std::string_view param) {
  return param == "temperature" || param == "top_p";
}

ErrorKind kind_of(const ProviderConfig& config, const ErrorDetails& details, int status) {
  if (details.vendor_code == "unsupported_value" && is_fixed_parameter(details.param)) {
    return ErrorKind::unsupported_parameter;
  }
  std::optional<ErrorKind> kind = kind_of_word(details.vendor_code);
  // "invalid_request_error" is a type of which the code or the status may know more.
  const std::optional<ErrorKind> kind_of_type = kind_of_word(details.vendor_type);
  if (!kind || kind_of_type == ErrorKind::quota_exhausted) kind = kind_of_type;
  const bool is_vague = !kind || *kind == ErrorKind::invalid_request;
  const bool is_refused =
      status == 0 || status == 200 || status == 400 || status == 413 || status == 422;
  if (is_vague && is_refused && details.vendor_code != "string_above_max_length" &&
      is_about_context(details.message)) {
    return ErrorKind::context_length;
  }
  // Grok answers a wrong key with 400.
  if (config.vendor == Vendor::xai && status == 400 &&
      details.message.find("API key") != std::string::npos) {
    return ErrorKind::auth;
  }
  if (is_vague && status >= 300) return kind_of_status(status);
  return kind.value_or(ErrorKind::server_error);
}

}  // namespace

bool is_openai_error(const Json& json) {
  const Json& error = member(json, "error");
  if (error.is_string() || (error.is_object() && !error.empty())) return true;
  return view_of(json, "type") == "error" || view_of(json, "object") == "error" ||
         (json.contains("detail") && !json.contains("choices"));
}

ErrorDetails openai_error(const ProviderConfig& config, const Json& json, int status) {
  ErrorDetails details;
  details.provider = config.name;
  read_words(json, details);
  details.http_status = status;
  details.kind = kind_of(config, details, status_of(details, status));
  details.message = capped_message(details.message);
  details.request_id = text_of(json, "request_id");
  return details;
}

ErrorDetails parse_openai_error(const ProviderConfig& config, const HttpAnswer& answer) {
  const std::optional<JsonDocument> document = parse_json(answer.body);
  if (!document) return error_without_json(config, answer);
  const Json& json = document->root();
  const Json& body = json.is_array() && !json.empty() ? json.front() : json;
  if (!is_openai_error(body) && text_of(body, "message").empty()) {
    return error_without_json(config, answer);
  }
  ErrorDetails details = openai_error(config, body, answer.status);
  if (details.request_id.empty()) details.request_id = answer.header("x-request-id");
  return details;
}

}  // namespace taut::ai
