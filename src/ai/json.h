#pragma once
// JSON of other people: parsed within limits, read without surprises.
//   std::optional<JsonDocument> answer = parse_json(body);
//   std::optional<int64_t> tokens = get<int64_t>(answer->root(), "usage", "total_tokens");
// A document keeps its values side by side in one array, each container before what it holds, and
// its strings as views of the text: reading an event of a stream takes no memory but what the last
// one left.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taut/ai/client.h"
#include "taut/base/macros.h"

namespace taut::ai {

class JsonMembers;

/// A value of a document, by itself where it holds no others. It lives as long as the document.
class Json {
 public:
  enum class Kind : uint8_t { null, boolean, integer, large_integer, real, string, array, object };

  Json() = default;  // null

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::null; }
  bool is_string() const { return kind_ == Kind::string; }
  bool is_array() const { return kind_ == Kind::array; }
  bool is_object() const { return kind_ == Kind::object; }

  // ---- Of a value of that kind
  bool boolean() const { return boolean_; }
  int64_t integer() const { return integer_; }
  uint64_t large_integer() const { return large_integer_; }  // beyond int64_t
  double real() const { return real_; }
  std::string_view string() const { return {string_, size_}; }

  // ---- Of an array or an object
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  // ---- Of an array that is not empty
  const Json& front() const { return this[1]; }

  /// Over the elements of an array; over nothing where it is none.
  class Iterator {
   public:
    using difference_type = std::ptrdiff_t;
    using value_type = Json;

    Iterator() = default;
    explicit Iterator(const Json* place) : place_(place) {}
    const Json& operator*() const { return *place_; }
    const Json* operator->() const { return place_; }
    Iterator& operator++() {
      place_ = place_->next();
      return *this;
    }
    Iterator operator++(int) {
      const Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Json* place_ = nullptr;
  };
  Iterator begin() const { return Iterator(is_array() ? this + 1 : next()); }
  Iterator end() const { return Iterator(next()); }

  /// An array of none.
  static constexpr Json no_elements() {
    Json json;
    json.kind_ = Kind::array;
    json.within_ = {};
    return json;
  }

  /// Pairs of name and value in the order of the text, those that come twice included.
  JsonMembers members() const;
  /// The last member of that name, or null where there is none.
  TAUT_ALWAYS_INLINE const Json* find(std::string_view name) const {
    const bool may_have = is_object() && (within_.marks & mark_of(name)) != 0;
    return may_have ? find_member(name) : nullptr;
  }
  bool contains(std::string_view name) const { return find(name) != nullptr; }

 private:
  friend class JsonMembers;
  friend class JsonParser;
  friend class JsonScalars;

  /// Of a container.
  struct Within {
    uint32_t extent;  // how many values it holds, at all depths, the names of members too
    uint32_t marks;   // of the names of an object's members
  };
  /// One bit, by which most names that an object lacks are told from those that it has (Bloom,
  /// 1970). The factors keep the names apart that are looked for in the events of the protocols.
  static constexpr uint32_t mark_of(std::string_view name) {
    if (name.empty()) return 1;
    const auto first = static_cast<uint32_t>(static_cast<unsigned char>(name.front()));
    const auto last = static_cast<uint32_t>(static_cast<unsigned char>(name.back()));
    return uint32_t{1} << ((5 * first + 7 * last + 11 * static_cast<uint32_t>(name.size())) % 32);
  }
  TAUT_API const Json* find_member(std::string_view name) const;

  bool is_container() const { return kind_ >= Kind::array; }
  /// What comes behind it and all that it holds.
  const Json* next() const { return this + 1 + (is_container() ? within_.extent : 0); }

  Kind kind_ = Kind::null;
  bool may_repeat_ = false;  // an object: two of its members may have the same name
  uint32_t size_ = 0;        // bytes of a string, elements of an array, members of an object
  union {
    bool boolean_;
    int64_t integer_ = 0;
    uint64_t large_integer_;
    double real_;
    const char* string_;
    Within within_;
  };
};

/// for (const auto& [name, value] : json.members())
class JsonMembers {
 public:
  struct Member {
    std::string_view name;
    const Json& value;
  };
  class Iterator {
   public:
    explicit Iterator(const Json* place) : place_(place) {}
    Member operator*() const { return {place_->string(), place_[1]}; }
    Iterator& operator++() {
      place_ = place_[1].next();
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Json* place_;
  };
  Iterator begin() const { return begin_; }
  Iterator end() const { return end_; }

 private:
  friend class Json;
  JsonMembers(const Json* begin, const Json* end) : begin_(begin), end_(end) {}
  Iterator begin_, end_;
};

inline JsonMembers Json::members() const { return {is_object() ? this + 1 : next(), next()}; }

/// What has been parsed. It refers to the text, which has to outlive it, and can be used for one
/// text after another, whose values take the memory of those before.
class TAUT_API JsonDocument {
 public:
  JsonDocument() = default;
  JsonDocument(JsonDocument&&) = default;
  JsonDocument& operator=(JsonDocument&&) = default;

  /// False for a text that is no JSON (RFC 8259), too deep or too long. Escapes of lone surrogates,
  /// which models write, become U+FFFD.
  bool parse(std::string_view text, const SizeLimits& limits = {});
  /// Null where nothing has been parsed.
  const Json& root() const;

 private:
  std::vector<Json> values_;
  std::vector<char> unescaped_;  // strings that do not stand in the text as they are
};

/// Nothing for what JsonDocument does not parse.
TAUT_API std::optional<JsonDocument> parse_json(std::string_view text,
                                                const SizeLimits& limits = {});
/// A text that would be gone at once.
template <std::same_as<std::string> Text>
std::optional<JsonDocument> parse_json(Text&& text, const SizeLimits& limits = {}) = delete;

/// What stands in a value, if it is of that type: std::string_view, std::string, bool, double, or
/// int64_t, for which a double without a fraction will do.
template <class T>
std::optional<T> as(const Json& json);
template <>
inline std::optional<std::string_view> as<std::string_view>(const Json& json) {
  if (!json.is_string()) return std::nullopt;
  return json.string();
}
template <>
TAUT_API std::optional<std::string> as<std::string>(const Json& json);
template <>
TAUT_API std::optional<bool> as<bool>(const Json& json);
template <>
TAUT_API std::optional<double> as<double>(const Json& json);
template <>
TAUT_API std::optional<int64_t> as<int64_t>(const Json& json);

/// The member of an object; null where there is none, or where it is no object.
TAUT_ALWAYS_INLINE const Json& member(const Json& json, std::string_view key) {
  static constexpr Json null;
  const Json* found = json.find(key);
  return found == nullptr ? null : *found;
}
/// The elements of an array that is a member; none where there is no such array.
TAUT_ALWAYS_INLINE const Json& elements(const Json& json, std::string_view key) {
  static constexpr Json none = Json::no_elements();
  const Json* found = json.find(key);
  return found != nullptr && found->is_array() ? *found : none;
}

/// The value at the end of a path of members, if it is of that type.
template <class T, class... Keys>
TAUT_ALWAYS_INLINE std::optional<T> get(const Json& json, std::string_view key, Keys... more) {
  const Json& value = member(json, key);
  if constexpr (sizeof...(more) == 0) {
    return as<T>(value);
  } else {
    return get<T>(value, more...);
  }
}

/// The string at the end of a path, or an empty one.
template <class... Keys>
TAUT_ALWAYS_INLINE std::string text_of(const Json& json, Keys... keys) {
  return std::string(get<std::string_view>(json, keys...).value_or(std::string_view()));
}

/// The same, to be looked at while the document is there.
template <class... Keys>
TAUT_ALWAYS_INLINE std::string_view view_of(const Json& json, Keys... keys) {
  return get<std::string_view>(json, keys...).value_or(std::string_view());
}

}  // namespace taut::ai
