#include "src/ai/json.h"

#include <cmath>
#include <cstring>

#include "src/ai/json_parser.h"

namespace taut::ai {

namespace {

// Values of an unusual text are not kept for the next one.
constexpr size_t kMostKept = 4096;

template <class T>
void reuse(std::vector<T>& memory) {
  if (memory.capacity() > kMostKept) memory = {};
  memory.clear();
}

}  // namespace

const Json* Json::find_member(std::string_view name) const {
  const Json* found = nullptr;
  const Json* const end = next();
  for (const Json* place = this + 1; place != end; place = place[1].next()) {
    if (place->size_ == name.size() && std::memcmp(place->string_, name.data(), name.size()) == 0) {
      found = place + 1;
      if (!may_repeat_) break;
    }
  }
  return found;
}

bool JsonDocument::parse(std::string_view text, const SizeLimits& limits) {
  reuse(values_);
  reuse(unescaped_);
  const bool is_sound = static_cast<int64_t>(text.size()) <= limits.json &&
                        text.size() <= UINT32_MAX &&
                        JsonParser(text, limits.depth, values_, unescaped_).run();
  if (!is_sound) values_.clear();
  return is_sound;
}

const Json& JsonDocument::root() const {
  static const Json null;
  return values_.empty() ? null : values_.front();
}

std::optional<JsonDocument> parse_json(std::string_view text, const SizeLimits& limits) {
  JsonDocument document;
  if (!document.parse(text, limits)) return std::nullopt;
  return document;
}

template <>
std::optional<std::string> as<std::string>(const Json& json) {
  if (!json.is_string()) return std::nullopt;
  return std::string(json.string());
}

template <>
std::optional<bool> as<bool>(const Json& json) {
  if (json.kind() != Json::Kind::boolean) return std::nullopt;
  return json.boolean();
}

template <>
std::optional<double> as<double>(const Json& json) {
  switch (json.kind()) {
    case Json::Kind::integer: return static_cast<double>(json.integer());
    case Json::Kind::large_integer: return static_cast<double>(json.large_integer());
    case Json::Kind::real: return json.real();
    default: return std::nullopt;
  }
}

template <>
std::optional<int64_t> as<int64_t>(const Json& json) {
  if (json.kind() == Json::Kind::integer) return json.integer();
  if (json.kind() != Json::Kind::real) return std::nullopt;
  const double value = json.real();
  // 2^63 itself is the first double that does not fit.
  if (!(std::fabs(value) < 0x1p63) || std::trunc(value) != value) return std::nullopt;
  return static_cast<int64_t>(value);
}

}  // namespace taut::ai
