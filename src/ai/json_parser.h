#pragma once
// Reads one JSON text as RFC 8259 has it, nothing more lenient, into the array of a document. It
// calls itself for nothing: a deep text takes no stack. Used by JsonDocument alone.

#include <cstdint>
#include <string_view>
#include <vector>

#include "src/ai/json.h"

namespace taut::ai {

class JsonParser {
 public:
  /// The array and the room for strings are empty, and hold the values when run() has succeeded.
  JsonParser(std::string_view text, int depth, std::vector<Json>& values,
             std::vector<char>& unescaped);
  /// Whether the text is one value that nests no deeper.
  bool run();

 private:
  /// What may stand next.
  enum class Expected : uint8_t { value, first_element, name, first_name, separator, end };

  bool read_next();
  bool read_value();
  bool read_word(std::string_view word, Json::Kind kind, bool value);
  bool read_name();
  bool read_separator();
  bool open(Json::Kind kind);
  bool close();
  void end_value();

  bool read_number();
  bool read_integer(const char* begin);
  bool read_real(const char* begin);
  bool skip_digits();

  bool read_string();
  const char* skip_plain(const char* at) const;
  bool unescape(const char* begin);
  bool read_escape();
  bool read_unit(uint32_t& unit);
  bool read_unicode();

  void skip_space();
  bool take(char expected);
  Json& append(Json::Kind kind);

  const char* at_;
  const char* const end_;
  const int most_deep_;
  std::vector<Json>& values_;
  std::vector<char>& unescaped_;

  static constexpr size_t kNone = SIZE_MAX;
  size_t inside_ =
      kNone;  // the innermost container that is open; the next one stands in its extent
  int depth_ = 0;
  Expected expected_ = Expected::value;
};

}  // namespace taut::ai
