#include "src/ai/anthropic_schema.h"

#include <utility>

#include "taut/base/check.h"

namespace taut::ai {
namespace {

constexpr std::string_view kKeywords[] = {
    "$schema",     "$id",      "$ref",  "$defs",
    "definitions", "type",     "title", "enum",
    "const",       "anyOf",    "allOf", "description",
    "properties",  "required", "items", "additionalProperties"};
constexpr std::string_view kFormats[] = {"date-time", "time", "date", "duration", "email",
                                         "hostname",  "uri",  "ipv4", "ipv6",     "uuid"};
// Keywords whose members are schemas by name, and those that are lists of schemas.
constexpr std::string_view kMaps[] = {"properties", "$defs", "definitions"};
constexpr std::string_view kLists[] = {"anyOf", "allOf"};

template <size_t n>
bool is_among(const std::string_view (&words)[n], std::string_view word) {
  for (const std::string_view known : words) {
    if (known == word) return true;
  }
  return false;
}

bool is_known(const std::string& keyword, const RequestJson& value) {
  if (keyword == "format") return value.is_string() && is_among(kFormats, value.get<std::string>());
  if (keyword == "minItems") return value == 0 || value == 1;
  return is_among(kKeywords, keyword);
}

class SchemaFitter {
 public:
  std::vector<std::string> take() { return std::move(changes_); }

  void fit(RequestJson& schema, const std::string& path) {
    if (!schema.is_object()) return;
    rename_one_of(schema);
    describe_unknown(schema, path);
    const auto type = schema.find("type");
    const bool is_object = type != schema.end() && *type == "object";
    if (is_object || schema.contains("properties")) {
      schema["additionalProperties"] = false;
    }
    for (auto& [keyword, value] : schema.items()) {
      if (is_among(kMaps, keyword) && value.is_object()) {
        for (auto& [name, inner] : value.items()) fit(inner, concat(path, "/", keyword, "/", name));
      } else if (is_among(kLists, keyword) && value.is_array()) {
        for (RequestJson& inner : value) fit(inner, concat(path, "/", keyword));
      } else if (keyword == "items") {
        fit(value, path + "/items");
      }
    }
  }

 private:
  static void rename_one_of(RequestJson& schema) {
    if (!schema.contains("oneOf") || schema.contains("anyOf")) return;
    schema["anyOf"] = std::move(schema["oneOf"]);
    schema.erase("oneOf");
  }

  void describe_unknown(RequestJson& schema, const std::string& path) {
    RequestJson unknown = RequestJson::object();
    for (const auto& [keyword, value] : schema.items()) {
      if (!is_known(keyword, value)) unknown[keyword] = value;
    }
    if (unknown.empty()) return;
    const auto given = schema.find("description");
    std::string description;
    if (given != schema.end() && given->is_string()) description = given->get<std::string>();
    for (const auto& [keyword, value] : unknown.items()) {
      schema.erase(keyword);
      description += concat(description.empty() ? "" : "; ", keyword, ": ", to_text(value));
      changes_.push_back(
          concat("format: the schema's ", path, "/", keyword,
                 " was moved into the description, which the provider does not enforce"));
    }
    schema["description"] = description;
  }

  std::vector<std::string> changes_;
};

}  // namespace

std::vector<std::string> fit_anthropic_schema(RequestJson& schema) {
  SchemaFitter fitter;
  fitter.fit(schema, "");
  return fitter.take();
}

}  // namespace taut::ai
