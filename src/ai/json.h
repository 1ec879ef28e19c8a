#pragma once
// JSON of other people: parsed within limits, read without surprises. Included by .cpp files of
// src/ai alone, and by private headers that only they include, because nlohmann/json.hpp is a
// costly header.
//   std::optional<Json> answer = parse_json(body);
//   std::optional<int64_t> tokens = get<int64_t>(*answer, "usage", "total_tokens");

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taut/ai/client.h"
#include "taut/base/macros.h"

namespace taut::ai {

/// Of answers: looking a member up is quick, however many there are.
using Json = nlohmann::json;
/// Of requests: members stay in their order, which models follow in the answers that a schema asks
/// for.
using RequestJson = nlohmann::ordered_json;

/// Nothing for a text that is no JSON, too deep or too long. Escapes of lone surrogates, which
/// models write, become U+FFFD.
TAUT_API std::optional<Json> parse_json(std::string_view text, const SizeLimits& limits = {});

/// JSON text of the caller's. Throws ValueError, which begins with `what`, for a text that is none.
TAUT_API RequestJson parse_user_json(std::string_view text, std::string_view what);
/// The same, which has to be an object. An empty text is an empty object.
TAUT_API RequestJson parse_user_object(std::string_view text, std::string_view what);

/// JSON text; bytes that are not UTF-8 become U+FFFD.
TAUT_API std::string to_text(const Json& json);
TAUT_API std::string to_text(const RequestJson& json);

/// What stands in a value, if it is of that type: std::string, bool, double, or int64_t, for which
/// a double without a fraction will do.
template <class T>
std::optional<T> as(const Json& json);
template <>
TAUT_API std::optional<std::string> as<std::string>(const Json& json);
template <>
TAUT_API std::optional<bool> as<bool>(const Json& json);
template <>
TAUT_API std::optional<double> as<double>(const Json& json);
template <>
TAUT_API std::optional<int64_t> as<int64_t>(const Json& json);

/// The member of an object; null where there is none, or where it is no object.
TAUT_API const Json& member(const Json& json, std::string_view key);
/// The elements of an array that is a member; none where there is no such array.
TAUT_API const Json& elements(const Json& json, std::string_view key);

/// The value at the end of a path of members, if it is of that type.
template <class T, class... Keys>
std::optional<T> get(const Json& json, std::string_view key, Keys... more) {
  const Json& value = member(json, key);
  if constexpr (sizeof...(more) == 0) {
    return as<T>(value);
  } else {
    return get<T>(value, more...);
  }
}

/// The string at the end of a path, or an empty one.
template <class... Keys>
std::string text_of(const Json& json, Keys... keys) {
  return get<std::string>(json, keys...).value_or(std::string());
}

}  // namespace taut::ai
