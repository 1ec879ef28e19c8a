#include "taut/base/check.h"

#include <charconv>
#include <cmath>

namespace taut {

void append(std::string& message, std::string_view text) { message.append(text); }

void append(std::string& message, double value) {
  if (std::isnan(value)) {
    message.append("nan");
    return;
  }
  if (std::isinf(value)) {
    message.append(value < 0 ? "-inf" : "inf");
    return;
  }
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  std::string_view text(buffer, static_cast<size_t>(result.ptr - buffer));
  message.append(text);
  // A whole number keeps a point, so that it reads as floating.
  if (text.find_first_of(".e") == std::string_view::npos) message.append(".0");
}

void append(std::string& message, bool value) { message.append(value ? "True" : "False"); }

void append_integer(std::string& message, int64_t value) { message.append(std::to_string(value)); }

void append_integer(std::string& message, uint64_t value) { message.append(std::to_string(value)); }

namespace detail {

void raise_internal(const char* condition, const char* file, int line) {
  throw InternalError(concat("internal: ", condition, " does not hold at ", file, ":", line,
                             "; this is a fault of taut, please report it"));
}

}  // namespace detail
}  // namespace taut
