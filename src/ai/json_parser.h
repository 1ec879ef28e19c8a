#pragma once
// Reads one JSON text as RFC 8259 has it, nothing more lenient, into the array of a document. It
// calls itself for nothing: a deep text takes no stack. Used by JsonDocument and JsonSeries alone.

#include <cstdint>
#include <string_view>
#include <vector>

#include "src/ai/json.h"
#include "src/ai/json_scalars.h"

namespace taut::ai {

/// Where a string or a number stands that is a value, with its quotes.
struct JsonPlace {
  uint32_t begin = 0, end = 0;  // in the text
  uint32_t value = 0;           // in the array
};

class JsonParser {
 public:
  /// The array and the room for strings are empty, and hold the values when run() has succeeded;
  /// then `places`, where it is not null, are those of the text, in its order. The text has at most
  /// UINT32_MAX bytes.
  JsonParser(std::string_view text, int depth, std::vector<Json>& values,
             std::vector<char>& unescaped, std::vector<JsonPlace>* places = nullptr);
  /// Whether the text is one value that nests no deeper.
  bool run();

 private:
  /// What may stand next.
  enum class Expected : uint8_t { value, first_element, name, first_name, separator, end };

  bool read_next();
  bool read_value();
  bool read_scalar();
  bool read_name();
  bool read_separator();
  bool open(Json::Kind kind);
  bool close();
  void end_value();
  Json& append(Json::Kind kind);

  JsonScalars scalars_;
  const char* const begin_;
  const int most_deep_;
  std::vector<Json>& values_;
  std::vector<JsonPlace>* const places_;

  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t inside_ = kNone;  // the innermost container that is open; its extent is the next one's
  int depth_ = 0;
  Expected expected_ = Expected::value;
};

}  // namespace taut::ai
