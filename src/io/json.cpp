#include "src/io/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "taut/base/check.h"

namespace taut::io {
namespace {

// Builds the tree from the parser's events. The parser keeps its own state on the heap; the depth
// is bounded here because destroying the tree recurses.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  Builder(Json& root, int max_depth, size_t max_items)
      : root_(root), max_depth_(max_depth), max_items_(max_items) {}

  const std::string& problem() const { return problem_; }

  bool null() override { return add(Json()); }
  bool boolean(bool value) override {
    Json json;
    json.kind = Json::Kind::boolean;
    json.boolean = value;
    return add(std::move(json));
  }
  bool number_integer(number_integer_t value) override {
    return number_float(static_cast<double>(value), {});
  }
  bool number_unsigned(number_unsigned_t value) override {
    Json json;
    json.kind = Json::Kind::integer;
    json.integer = value;
    return add(std::move(json));
  }
  bool number_float(number_float_t value, const string_t&) override {
    Json json;
    json.kind = Json::Kind::number;
    json.number = value;
    return add(std::move(json));
  }
  bool string(string_t& value) override {
    Json json;
    json.kind = Json::Kind::string;
    json.string = std::move(value);
    return add(std::move(json));
  }
  bool binary(binary_t&) override { return fail("binary value"); }
  bool start_object(std::size_t) override { return open(Json::Kind::object); }
  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }
  bool end_object() override {
    std::vector<std::string_view> keys;
    for (const auto& [name, value] : open_.back()->members) keys.push_back(name);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) return fail(concat("the key \"", *twice, "\" comes twice"));
    return close();
  }
  bool start_array(std::size_t) override { return open(Json::Kind::array); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    return fail(concat("no JSON from byte ", position, " on"));
  }

 private:
  bool fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }
  Json* place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.kind == Json::Kind::array) {
      if (parent.items.size() >= max_items_) {
        fail(concat("a list of more than ", max_items_));
        return nullptr;
      }
      return &parent.items.emplace_back(std::move(value));
    }
    return &parent.members.emplace_back(std::move(key_), std::move(value)).second;
  }
  bool add(Json value) { return place(std::move(value)) != nullptr; }
  bool open(Json::Kind kind) {
    if (static_cast<int>(open_.size()) >= max_depth_) {
      return fail(concat("nested deeper than ", max_depth_));
    }
    Json value;
    value.kind = kind;
    // The address holds while this value is open: its parent gets no further entries until then.
    Json* placed = place(std::move(value));
    if (placed == nullptr) return false;
    open_.push_back(placed);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json& root_;
  int max_depth_;
  size_t max_items_;
  std::vector<Json*> open_;
  std::string key_;
  std::string problem_;
};

}  // namespace

Json::Json() = default;
Json::Json(const Json& other) = default;
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) = default;
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;

const Json* Json::find(std::string_view key) const {
  for (const auto& [name, value] : members) {
    if (name == key) return &value;
  }
  return nullptr;
}

Json parse_json(std::string_view text, const std::string& what, int max_depth, size_t max_items) {
  Json root;
  Builder builder(root, max_depth, max_items);
  bool is_good = false;
  try {
    is_good = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  } catch (const nlohmann::json::exception&) {
    is_good = false;
  }
  TAUT_CHECK(is_good, FormatError, what, ": ",
             builder.problem().empty() ? "no JSON" : builder.problem());
  return root;
}

std::string quote_json(std::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace taut::io
