#pragma once
// Values as JSON and back, member by member: what json_text.h is made of. Included by .cpp files
// alone.

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taut/base/check.h"

namespace taut::ai::form {

using Json = nlohmann::json;

/// Parses text that nests no deeper than 128. `what` begins the messages of errors.
Json parse(std::string_view text, std::string_view what);
/// As text; bytes that are no UTF-8 are replaced.
std::string dump(const Json& value);

/// Puts members together, leaving out what is not set, empty or as it is by default.
class Writer {
 public:
  template <class T>
  Writer& set(const char* name, const std::optional<T>& value) {
    if (value) members_[name] = plain(*value);
    return *this;
  }
  Writer& set(const char* name, const std::string& value) {
    if (!value.empty()) members_[name] = value;
    return *this;
  }
  Writer& set(const char* name, const std::vector<std::string>& value) {
    if (!value.empty()) members_[name] = value;
    return *this;
  }
  template <class T>
    requires(std::is_arithmetic_v<T>)
  Writer& set(const char* name, T value, T usual = T()) {
    if (value != usual) members_[name] = plain(value);
    return *this;
  }
  /// Always, whatever it is.
  template <class T>
  Writer& put(const char* name, T&& value) {
    members_[name] = std::forward<T>(value);
    return *this;
  }
  template <class List, class Form>
  Writer& list(const char* name, const List& values, Form form) {
    if (values.empty()) return *this;
    Json array = Json::array();
    for (const auto& value : values) array.push_back(form(value));
    members_[name] = std::move(array);
    return *this;
  }
  Json take() { return std::move(members_); }

 private:
  template <class T>
  static Json plain(const T& value) {
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(value)) return nullptr;
    }
    return value;
  }

  Json members_ = Json::object();
};

/// Reads members into fields that keep their value where a member is missing or null.
class Reader {
 public:
  Reader(const Json& members, std::string what) : members_(members), what_(std::move(what)) {
    TAUT_CHECK(members.is_object(), ValueError, what_, ": not an object; got ", dump(members));
  }

  Reader& get(const char* name, std::string& into) {
    if (const Json* value = find(name)) {
      check(value->is_string(), name, *value, "a string");
      into = value->get_ref<const std::string&>();
    }
    return *this;
  }
  Reader& get(const char* name, bool& into) {
    if (const Json* value = find(name)) {
      check(value->is_boolean(), name, *value, "true or false");
      into = value->get<bool>();
    }
    return *this;
  }
  Reader& get(const char* name, double& into) {
    if (const Json* value = find(name)) {
      check(value->is_number(), name, *value, "a number");
      into = value->get<double>();
    }
    return *this;
  }
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  Reader& get(const char* name, T& into) {
    if (const Json* value = find(name)) {
      check(value->is_number_integer() && fits<T>(*value), name, *value, "an integer");
      into = value->get<T>();
    }
    return *this;
  }
  template <class T>
  Reader& get(const char* name, std::optional<T>& into) {
    const auto found = members_.find(name);
    if (found == members_.end()) return *this;
    if (found->is_null()) {
      find(name);
      return *this;
    }
    T value{};
    get(name, value);
    into = std::move(value);
    return *this;
  }
  Reader& get(const char* name, std::vector<std::string>& into) {
    return list(name, into, [&](const Json& value) {
      check(value.is_string(), name, value, "a list of strings");
      return value.get<std::string>();
    });
  }
  template <class T, class Form>
  Reader& list(const char* name, std::vector<T>& into, Form form) {
    if (const Json* value = find(name)) {
      check(value->is_array(), name, *value, "a list");
      for (const Json& item : *value) into.push_back(form(item));
    }
    return *this;
  }
  template <class T, class Form>
  Reader& one(const char* name, T& into, Form form) {
    if (const Json* value = find(name)) into = form(*value);
    return *this;
  }
  /// One of `names`, whose places are the values of the enumeration.
  template <class E, size_t N>
  Reader& choice(const char* name, E& into, const std::string_view (&names)[N]) {
    std::string word;
    get(name, word);
    if (word.empty()) return *this;
    for (size_t i = 0; i < N; ++i) {
      if (names[i] == word) {
        into = static_cast<E>(i);
        return *this;
      }
    }
    std::string expected;
    for (std::string_view known : names) {
      expected += (expected.empty() ? "" : ", ");
      expected += known;
    }
    throw ValueError(
        concat(what_, ": ", name, ": unknown word; got '", word, "'; expected one of ", expected));
  }
  /// Refuses members that nobody read.
  void finish() const {
    if (read_ >= members_.size()) return;
    for (const auto& [name, value] : members_.items()) {
      TAUT_CHECK(asked_for(name), ValueError, what_, ": unknown member '", name, "'");
    }
  }

 private:
  const Json* find(const char* name) {
    names_.push_back(name);
    const auto found = members_.find(name);
    if (found == members_.end()) return nullptr;
    ++read_;
    return found->is_null() ? nullptr : &*found;
  }
  template <class T>
  static bool fits(const Json& value) {
    if (value.is_number_unsigned()) {
      return value.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<T>::max());
    }
    return value.get<int64_t>() >= static_cast<int64_t>(std::numeric_limits<T>::min()) &&
           value.get<int64_t>() <= static_cast<int64_t>(std::numeric_limits<T>::max());
  }
  void check(bool holds, const char* name, const Json& value, const char* expected) const {
    TAUT_CHECK(holds, ValueError, what_, ": ", name, ": wrong type; got ",
               dump(value).substr(0, 80), "; expected ", expected);
  }
  bool asked_for(const std::string& name) const {
    for (const char* known : names_) {
      if (name == known) return true;
    }
    return false;
  }

  const Json& members_;
  std::string what_;
  std::vector<const char*> names_;
  size_t read_ = 0;
};

}  // namespace taut::ai::form
