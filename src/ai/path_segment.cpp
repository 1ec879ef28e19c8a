#include "src/ai/path_segment.h"

#include <algorithm>

#include "taut/base/check.h"

namespace taut::ai {
namespace {

// RFC 3986, 2.3: characters that stand for themselves.
bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

bool goes_up(std::string_view name) {
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace

std::string path_segment(const ProviderConfig& config, std::string_view what, std::string_view name,
                         bool may_hold_slashes) {
  const std::string_view example = may_hold_slashes ? "models/x" : "x";
  bool is_fine =
      !name.empty() && name != "." && name != ".." && !(may_hold_slashes && goes_up(name));
  for (const char c : name) is_fine = is_fine && !is_control(c) && c != ';';
  if (!is_fine) {
    refuse_request(
        config, {}, std::string(what),
        concat(what, ": it cannot be a part of a path; got '", name, "'; expected a name such as ",
               example, ", without '..', ';' and control characters"));
  }
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : name) {
    if (is_unreserved(c) || (c == '/' && may_hold_slashes)) {
      encoded.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded.push_back('%');
      encoded.push_back(kDigits[byte >> 4]);
      encoded.push_back(kDigits[byte & 15]);
    }
  }
  return encoded;
}

}  // namespace taut::ai
