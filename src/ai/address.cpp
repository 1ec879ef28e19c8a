#include "src/ai/address.h"

#include <curl/curl.h>

#include <cmath>
#include <memory>

#include "taut/base/check.h"

namespace taut::ai {

namespace {

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, UrlDeleter>;

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK || text == nullptr) return {};
  const std::unique_ptr<char, void (*)(void*)> owner(text, curl_free);
  return text;
}

bool has_control(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f) return true;
  }
  return false;
}

/// Names that never leave this machine: localhost (RFC 6761), 127.0.0.0/8 and ::1.
bool is_loopback_host(std::string_view host) {
  if (host == "localhost" || host == "[::1]") return true;
  if (!host.starts_with("127.")) return false;
  return host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool is_version(std::string_view segment) {
  return segment.size() >= 2 && segment[0] == 'v' && segment[1] >= '0' && segment[1] <= '9';
}

bool is_token_byte(char c) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kMarks.find(c) != std::string_view::npos;
}

[[noreturn]] void refuse(std::string_view provider, std::string_view wrong, std::string_view got,
                         std::string_view expected) {
  throw ValueError(concat(provider, ": base_url: ", wrong, "; got ", got, "; expected ", expected));
}

void check_positive(const ProviderConfig& config, std::string_view what,
                    const std::optional<double>& value) {
  if (!value) return;
  TAUT_CHECK(std::isfinite(*value) && *value > 0, ValueError, config.name, ": ", what,
             ": not a rate; got ", *value, "; expected a positive number");
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

BaseUrl parse_base_url(std::string_view provider, const std::string& url, bool allows_http) {
  constexpr std::string_view kExpected = "https://host[:port][/path]";
  // What stands in a wrong URL may be a password: it is not repeated where it may hold one.
  if (has_control(url)) refuse(provider, "not a URL", "a space or control character", kExpected);
  const Url parsed(curl_url());
  if (parsed == nullptr || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(),
                                        CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
    refuse(provider, "not a URL", url.find('@') == std::string::npos ? url : "one with a user",
           kExpected);
  }
  if (!part_of(parsed.get(), CURLUPART_USER).empty() ||
      !part_of(parsed.get(), CURLUPART_PASSWORD).empty()) {
    refuse(provider, "it holds a user or a password", "one with '@'", "the key in the config");
  }
  if (url.find('?') != std::string::npos) refuse(provider, "it has a query", "'?'", kExpected);
  if (url.find('#') != std::string::npos) refuse(provider, "it has a fragment", "'#'", kExpected);

  BaseUrl base;
  base.scheme = part_of(parsed.get(), CURLUPART_SCHEME);
  base.host = lower_case(part_of(parsed.get(), CURLUPART_HOST));
  base.port = part_of(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  base.is_loopback = is_loopback_host(base.host);
  if (base.scheme != "https" && base.scheme != "http") {
    refuse(provider, "the scheme is not served", base.scheme, "https");
  }
  if (base.host.empty()) refuse(provider, "there is no host", url, kExpected);
  if (!base.is_encrypted() && !base.is_loopback && !allows_http) {
    refuse(provider, "plain http would show the key to the network", url,
           "https, or allows_http in the config");
  }
  base.text = url;
  while (base.text.ends_with('/')) base.text.pop_back();
  return base;
}

std::string join_url(const BaseUrl& base, std::string_view path) {
  const size_t host_begin = base.scheme.size() + 3;
  const size_t slash = base.text.rfind('/');
  if (slash != std::string::npos && slash >= host_begin && path.starts_with('/')) {
    const std::string_view last = std::string_view(base.text).substr(slash + 1);
    const std::string_view first = path.substr(1, path.find('/', 1) - 1);
    if (first == last && is_version(first)) path.remove_prefix(first.size() + 1);
  }
  return base.text + std::string(path);
}

bool is_header_name(std::string_view name) {
  if (name.empty()) return false;
  for (const char c : name) {
    if (!is_token_byte(c)) return false;
  }
  return true;
}

bool is_header_value(std::string_view value) {
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return false;
  }
  return true;
}

void check_header(std::string_view provider, std::string_view name, std::string_view value) {
  TAUT_CHECK(is_header_name(name), ValueError, provider, ": header: its name is not a token; got ",
             name.size(), " bytes; expected letters, digits and !#$%&'*+-.^_`|~");
  TAUT_CHECK(is_header_value(value), ValueError, provider, ": header ", name,
             ": its value holds a control character; got ", value.size(),
             " bytes; expected none below 0x20 but the tab");
}

void check_config(const ProviderConfig& config) {
  TAUT_CHECK(!config.name.empty(), ValueError,
             "provider: it has no name; got an empty one; expected how errors and reports call it");
  TAUT_CHECK(is_header_value(config.name), ValueError,
             "provider: its name holds a control character; got ", config.name.size(), " bytes");
  parse_base_url(config.name, config.base_url, config.allows_http);
  for (const auto& [name, value] : config.headers) check_header(config.name, name, value);
  check_header(config.name, "organization", config.organization);
  check_header(config.name, "project", config.project);
  check_header(config.name, "api-version", config.api_version);
  for (const std::string& flag : config.beta) check_header(config.name, "beta", flag);
  check_positive(config, "requests_per_minute", config.requests_per_minute);
  check_positive(config, "tokens_per_minute", config.tokens_per_minute);
  TAUT_CHECK(config.max_concurrent > 0, ValueError, config.name,
             ": max_concurrent: nothing could run; got ", config.max_concurrent,
             "; expected at least 1");
}

}  // namespace taut::ai
