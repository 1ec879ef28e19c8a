#pragma once
// The one door to the JSON library: a value tree that is safe to read from hostile text.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace taut::io {

/// A JSON value. Objects keep their order; duplicate keys are refused when reading.
struct Json {
  enum class Kind : uint8_t { null, boolean, integer, number, string, array, object };

  Kind kind = Kind::null;
  bool boolean = false;
  uint64_t integer = 0;  // not negative; other numbers are of kind `number`
  double number = 0.0;
  std::string string;
  std::vector<Json> items;                            // of an array
  std::vector<std::pair<std::string, Json>> members;  // of an object

  const Json* find(std::string_view key) const;

  // Written out where the type is complete: the pairs above hold it.
  Json();
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;
  ~Json();
};

/// @throws FormatError, whose message begins with `what`, for text that is no JSON, is nested
/// deeper than max_depth, has an array of more than max_items, or an object with two equal keys. No
/// exception of the library escapes.
Json parse_json(std::string_view text, const std::string& what, int max_depth = 16,
                size_t max_items = 1'000'000);

/// `text` as a JSON string, quotes included; bytes that are no UTF-8 become U+FFFD.
std::string quote_json(std::string_view text);

}  // namespace taut::io
