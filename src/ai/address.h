#pragma once
// Where requests go: base URLs that are safe to send a key to, and what may stand in a header.

#include <string>
#include <string_view>

#include "taut/ai/provider_config.h"

namespace taut::ai {

/// A base URL in its parts, checked.
struct BaseUrl {
  std::string text;  // without a slash at the end
  std::string scheme;
  std::string host;  // in lower case; an IPv6 address in brackets
  std::string port;
  bool is_loopback = false;

  bool is_encrypted() const { return scheme == "https"; }
  std::string origin() const { return scheme + "://" + host + ":" + port; }
};

/// Throws ValueError for a URL with a user, a query or a fragment, for another scheme than https,
/// and for plain http where it leaves this machine and `allows_http` does not say so.
TAUT_API BaseUrl parse_base_url(std::string_view provider, const std::string& url,
                                bool allows_http);

/// The base and a path that begins with "/". A version such as /v1 that stands at the end of one
/// and at the beginning of the other stands once in the result.
TAUT_API std::string join_url(const BaseUrl& base, std::string_view path);

/// A token of RFC 9110, section 5.6.2.
TAUT_API bool is_header_name(std::string_view name);
/// No control character but the tab (RFC 9110, section 5.5).
TAUT_API bool is_header_value(std::string_view value);
/// Throws ValueError; the message holds the name but never the value.
TAUT_API void check_header(std::string_view provider, std::string_view name,
                           std::string_view value);

/// Throws ValueError for a config that makes no sense.
TAUT_API void check_config(const ProviderConfig& config);

TAUT_API std::string lower_case(std::string_view text);

}  // namespace taut::ai
