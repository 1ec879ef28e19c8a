#pragma once
// TAUT_CHECK throws an error of the given kind with a message put together from its arguments,
// which are evaluated only when the check fails:
//   TAUT_CHECK(k == n, ShapeError, "matmul: inner sizes differ; got ", k, " and ", n);
// TAUT_ASSERT states what Taut itself guarantees; its failure is an InternalError.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "taut/base/error.h"

namespace taut {

/// Appends the printed form of a value to a message. Types of other headers add their overloads
/// in namespace taut, where argument-dependent look-up finds them.
TAUT_API void append(std::string& message, std::string_view text);
TAUT_API void append(std::string& message, double value);
TAUT_API void append(std::string& message, bool value);
TAUT_API void append_integer(std::string& message, int64_t value);
TAUT_API void append_integer(std::string& message, uint64_t value);

template <class T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>)
void append(std::string& message, T value) {
  if constexpr (std::is_signed_v<T>) {
    append_integer(message, static_cast<int64_t>(value));
  } else {
    append_integer(message, static_cast<uint64_t>(value));
  }
}
inline void append(std::string& message, float value) {
  append(message, static_cast<double>(value));
}
inline void append(std::string& message, char value) { message.push_back(value); }
inline void append(std::string& message, const char* text) {
  append(message, std::string_view(text));
}
inline void append(std::string& message, const std::string& text) {
  append(message, std::string_view(text));
}

/// What can stand in a message.
template <class T>
concept Printable = requires(std::string& message, const T& value) { append(message, value); };

/// The printed forms of the arguments, one after the other.
template <Printable... Parts>
std::string concat(const Parts&... parts) {
  std::string message;
  (append(message, parts), ...);
  return message;
}

namespace detail {

template <class Kind, class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void raise(const Parts&... parts) {
  throw Kind(concat(parts...));
}

[[noreturn, gnu::cold]] TAUT_API void raise_internal(const char* condition, const char* file,
                                                     int line);

}  // namespace detail
}  // namespace taut

#define TAUT_CHECK(condition, Kind, ...)                \
  do {                                                  \
    if (TAUT_UNLIKELY(!(condition))) {                  \
      ::taut::detail::raise<::taut::Kind>(__VA_ARGS__); \
    }                                                   \
  } while (false)

#define TAUT_ASSERT(condition)                                        \
  do {                                                                \
    if (TAUT_UNLIKELY(!(condition))) {                                \
      ::taut::detail::raise_internal(#condition, __FILE__, __LINE__); \
    }                                                                 \
  } while (false)
