#include "src/ai/error_kinds.h"

#include "taut/base/check.h"

namespace taut::ai {
namespace {

constexpr size_t kMostMessage = 4096;
constexpr size_t kExcerpt = 512;

/// What a body begins with, on one line.
std::string excerpt_of(std::string_view body) {
  std::string excerpt;
  for (const char c : body.substr(0, kExcerpt)) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_space = byte <= 0x20 || byte == 0x7F;
    if (!is_space) {
      excerpt.push_back(c);
    } else if (!excerpt.empty() && excerpt.back() != ' ') {
      excerpt.push_back(' ');
    }
  }
  return excerpt;
}

}  // namespace

ErrorKind kind_of_status(int status) {
  switch (status) {
    case 401: return ErrorKind::auth;
    case 402: return ErrorKind::quota_exhausted;
    case 403: return ErrorKind::permission;
    case 404: return ErrorKind::not_found;
    case 408:
    case 409: return ErrorKind::server_error;
    case 413: return ErrorKind::request_too_large;
    case 429: return ErrorKind::rate_limited;
    case 503:
    case 529: return ErrorKind::overloaded;
    default: break;
  }
  return status >= 300 && status < 500 ? ErrorKind::invalid_request : ErrorKind::server_error;
}

std::string capped_message(std::string_view text) {
  if (text.empty()) return "the provider does not say why";
  if (text.size() <= kMostMessage) return std::string(text);
  size_t end = kMostMessage - 3;
  // Bytes of 10xxxxxx go on with a character.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

bool is_about_context(std::string_view message) {
  return message.find("maximum context length") != std::string_view::npos ||
         message.find("input tokens exceed the configured limit") != std::string_view::npos;
}

ErrorDetails error_without_json(const ProviderConfig& config, const HttpAnswer& answer) {
  ErrorDetails details;
  details.provider = config.name;
  details.http_status = answer.status;
  const bool is_good = answer.status >= 200 && answer.status < 300;
  details.kind = is_good ? ErrorKind::malformed_response : kind_of_status(answer.status);
  const std::string excerpt = excerpt_of(answer.body);
  std::string_view type = answer.header("content-type");
  if (type.empty()) type = "no content type";
  details.message = excerpt.empty()
                        ? concat("the answer has no body (", type, ")")
                        : concat("the answer is not what was expected (", type, "): ", excerpt);
  return details;
}

}  // namespace taut::ai
