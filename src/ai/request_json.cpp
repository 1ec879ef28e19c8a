#include "src/ai/request_json.h"

#include <algorithm>

#include "taut/base/check.h"

namespace taut::ai {

namespace {

// Members of one object of a request, where looking one up takes as long as there are members.
constexpr size_t kMostMembers = 10'000;

size_t most_members(const Json& json) {
  size_t most = json.is_object() ? json.size() : 0;
  for (const Json& element : json) most = std::max(most, most_members(element));
  for (const auto& [name, value] : json.members()) most = std::max(most, most_members(value));
  return most;
}

/// Documents nest no deeper than their limit: calling itself is safe.
template <class Built>
Built built_of(const Json& json) {
  switch (json.kind()) {
    case Json::Kind::null: break;
    case Json::Kind::boolean: return json.boolean();
    case Json::Kind::integer: return json.integer();
    case Json::Kind::large_integer: return json.large_integer();
    case Json::Kind::real: return json.real();
    case Json::Kind::string: return std::string(json.string());
    case Json::Kind::array: {
      Built array = Built::array();
      for (const Json& element : json) array.push_back(built_of<Built>(element));
      return array;
    }
    case Json::Kind::object: {
      Built object = Built::object();
      for (const auto& [name, value] : json.members()) {
        object[std::string(name)] = built_of<Built>(value);
      }
      return object;
    }
  }
  return nullptr;
}

template <class AnyJson>
std::string dump(const AnyJson& json) {
  return json.dump(-1, ' ', false, AnyJson::error_handler_t::replace);
}

}  // namespace

RequestJson parse_user_json(std::string_view text, std::string_view what) {
  const std::optional<JsonDocument> document = parse_json(text);
  TAUT_CHECK(document.has_value(), ValueError, what, ": it is not JSON; got ", text.substr(0, 200),
             "; expected the text of a JSON value, at most ", SizeLimits().depth, " levels deep");
  TAUT_CHECK(most_members(document->root()) <= kMostMembers, ValueError, what,
             ": an object has too many members; expected at most ", kMostMembers);
  return ordered(document->root());
}

RequestJson parse_user_object(std::string_view text, std::string_view what) {
  if (text.empty()) return RequestJson::object();
  RequestJson json = parse_user_json(text, what);
  TAUT_CHECK(json.is_object(), ValueError, what, ": it is not an object; got ", text.substr(0, 200),
             "; expected the text of a JSON object");
  return json;
}

SortedJson sorted(const Json& json) { return built_of<SortedJson>(json); }
RequestJson ordered(const Json& json) { return built_of<RequestJson>(json); }

std::string to_text(const RequestJson& json) { return dump(json); }
std::string to_text(const SortedJson& json) { return dump(json); }
std::string to_text(const Json& json) { return dump(sorted(json)); }

}  // namespace taut::ai
