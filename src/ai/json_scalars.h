#pragma once
// Reads the strings and numbers of a JSON text, one at a time, as RFC 8259 has them. Used by
// JsonParser and JsonSeries alone.

#include <cstdint>
#include <string_view>
#include <vector>

#include "src/ai/json.h"

namespace taut::ai {

class JsonScalars {
 public:
  /// Of the text between two places. Strings that do not stand there as they are get theirs in
  /// `unescaped`, which is empty and is there as long as they are.
  JsonScalars(const char* begin, const char* end, std::vector<char>& unescaped)
      : at_(begin), end_(end), unescaped_(unescaped) {}

  /// Where the next is read from, and where reading has stopped.
  const char* at() const { return at_; }
  bool is_at_end() const { return at_ == end_; }
  char next() const { return *at_; }  // not at the end
  void move_to(const char* place) { at_ = place; }
  void skip_space();
  bool take(char expected);
  bool take(std::string_view expected);

  /// False where none stands that is well formed. A string begins with its quote.
  bool read_string(Json& into);
  bool read_number(Json& into);

 private:
  bool read_integer(const char* begin, Json& into) const;
  bool read_real(const char* begin, Json& into) const;
  bool skip_digits();

  const char* skip_plain(const char* at) const;
  bool unescape(const char* begin, Json& into);
  bool read_escape();
  bool read_unit(uint32_t& unit);
  bool read_unicode();
  static void set_string(Json& json, const char* begin, size_t size);

  const char* at_;
  const char* const end_;
  std::vector<char>& unescaped_;
};

inline void JsonScalars::skip_space() {
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (at_ != end_ && is_space(*at_)) ++at_;
}

inline bool JsonScalars::take(char expected) {
  if (at_ == end_ || *at_ != expected) return false;
  ++at_;
  return true;
}

inline bool JsonScalars::take(std::string_view expected) {
  if (!std::string_view(at_, static_cast<size_t>(end_ - at_)).starts_with(expected)) return false;
  at_ += expected.size();
  return true;
}

}  // namespace taut::ai
