#pragma once
// Requests and answers as the protocols make and read them and the transport carries them. No
// libcurl here.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "taut/ai/response.h"

namespace taut::ai {

struct HttpRequest {
  std::string method = "POST";
  std::string path;  // behind the base URL, begins with "/"; segments are already percent-encoded
  std::vector<Header> headers;  // without the key, which the transport adds
  std::string body;
  std::string content_type = "application/json";
  bool is_stream = false;  // whether server-sent events are wanted
};

/// How a provider wants its key.
struct KeyHeader {
  std::string name;    // authorization, x-goog-api-key ...
  std::string prefix;  // "Bearer "
};

struct HttpAnswer {
  int status = 0;
  std::vector<Header> headers;  // names in lower case
  std::string body;

  /// The value of the first header of that name, or an empty one.
  std::string_view header(std::string_view name) const;
};

}  // namespace taut::ai
