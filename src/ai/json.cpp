#include "src/ai/json.h"

#include <algorithm>
#include <cmath>

#include "taut/base/check.h"

namespace taut::ai {
namespace {

// Members of one object of a request, where looking one up takes as long as there are members.
constexpr size_t kMostMembers = 10'000;

/// Whether brackets outside strings are nested deeper. Exact for as much of the text as is JSON,
/// and the parser stops where it is none.
bool is_deeper(std::string_view text, int depth) {
  int open = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++open > depth) return true;
    } else if (c == '}' || c == ']') {
      --open;
    }
  }
  return false;
}

/// The number in \uXXXX at a place, or -1.
int escaped_unit(std::string_view text, size_t at) {
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return -1;
  int unit = 0;
  for (size_t i = at + 2; i < at + 6; ++i) {
    const char c = text[i];
    int digit = -1;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

bool is_high_surrogate(int unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
bool is_low_surrogate(int unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

std::string replace_lone_surrogates(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '\\') {
      repaired.push_back(text[i++]);
      continue;
    }
    const int unit = escaped_unit(text, i);
    if (is_high_surrogate(unit) && is_low_surrogate(escaped_unit(text, i + 6))) {
      repaired.append(text.substr(i, 12));
      i += 12;
    } else if (is_high_surrogate(unit) || is_low_surrogate(unit)) {
      repaired.append("\\uFFFD");
      i += 6;
    } else {
      repaired.append(text.substr(i, 2));
      i += 2;
    }
  }
  return repaired;
}

size_t most_members(const Json& json) {
  size_t most = json.is_object() ? json.size() : 0;
  if (json.is_structured()) {
    for (const Json& value : json) most = std::max(most, most_members(value));
  }
  return most;
}

template <class AnyJson>
std::string dump(const AnyJson& json) {
  return json.dump(-1, ' ', false, AnyJson::error_handler_t::replace);
}

}  // namespace

std::optional<Json> parse_json(std::string_view text, const SizeLimits& limits) {
  if (static_cast<int64_t>(text.size()) > limits.json || is_deeper(text, limits.depth)) {
    return std::nullopt;
  }
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) json = Json::parse(replace_lone_surrogates(text), nullptr, false);
  if (json.is_discarded()) return std::nullopt;
  return json;
}

RequestJson parse_user_json(std::string_view text, std::string_view what) {
  const std::optional<Json> json = parse_json(text);
  TAUT_CHECK(json.has_value(), ValueError, what, ": it is not JSON; got ", text.substr(0, 200),
             "; expected the text of a JSON value, at most ", SizeLimits().depth, " levels deep");
  TAUT_CHECK(most_members(*json) <= kMostMembers, ValueError, what,
             ": an object has too many members; expected at most ", kMostMembers);
  RequestJson ordered = RequestJson::parse(text, nullptr, false);
  // What had to be repaired to be read is sent as it was read.
  return ordered.is_discarded() ? RequestJson(*json) : ordered;
}

RequestJson parse_user_object(std::string_view text, std::string_view what) {
  if (text.empty()) return RequestJson::object();
  RequestJson json = parse_user_json(text, what);
  TAUT_CHECK(json.is_object(), ValueError, what, ": it is not an object; got ", text.substr(0, 200),
             "; expected the text of a JSON object");
  return json;
}

std::string to_text(const Json& json) { return dump(json); }
std::string to_text(const RequestJson& json) { return dump(json); }

template <>
std::optional<std::string> as<std::string>(const Json& json) {
  if (!json.is_string()) return std::nullopt;
  return json.get_ref<const std::string&>();
}

template <>
std::optional<bool> as<bool>(const Json& json) {
  if (!json.is_boolean()) return std::nullopt;
  return json.get<bool>();
}

template <>
std::optional<double> as<double>(const Json& json) {
  if (!json.is_number()) return std::nullopt;
  return json.get<double>();
}

template <>
std::optional<int64_t> as<int64_t>(const Json& json) {
  if (json.is_number_unsigned()) {
    const uint64_t value = json.get<uint64_t>();
    if (value > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<int64_t>(value);
  }
  if (json.is_number_integer()) return json.get<int64_t>();
  if (!json.is_number_float()) return std::nullopt;
  const double value = json.get<double>();
  // 2^63 itself is the first double that does not fit.
  if (!(std::fabs(value) < 0x1p63) || std::trunc(value) != value) return std::nullopt;
  return static_cast<int64_t>(value);
}

const Json& member(const Json& json, std::string_view key) {
  static const Json null;
  if (!json.is_object()) return null;
  const auto found = json.find(key);
  return found == json.end() ? null : *found;
}

const Json& elements(const Json& json, std::string_view key) {
  static const Json none = Json::array();
  const Json& value = member(json, key);
  return value.is_array() ? value : none;
}

}  // namespace taut::ai
