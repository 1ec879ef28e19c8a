#pragma once
// JSON texts that come one after the other and mostly look alike, as the events of streams do.
//
// Note [Texts like one before]
// The events of a stream are the same but for a few values: a piece of text, a number, the id of
// another stream. So the series keeps some of the texts that it has parsed, with their values and
// where each stands. A text is compared with them, byte by byte: what differs must be a string or a
// number where one stood before, which is then read anew, and everything else keeps what was made
// of it. A text that differs in more is parsed, and takes the place of the one that has not been
// met for longest. What comes of a text does not depend on what came before it.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/ai/json.h"
#include "src/ai/json_parser.h"

namespace taut::ai {

/// By one thread at a time.
class TAUT_API JsonSeries {
 public:
  explicit JsonSeries(const SizeLimits& limits = {}) : limits_(limits) {}

  /// The value of a text, which lives as long as the text does and until the next call; null for a
  /// text that JsonDocument does not parse.
  const Json& parse(std::string_view text);

 private:
  /// A text and what it stands for.
  class Pattern {
   public:
    bool learn(std::string_view text, int depth);
    bool match(std::string_view text);
    void forget();
    const Json& root() const { return values_.front(); }

    uint64_t met = 0;  // when last

   private:
    struct Change {
      uint32_t value;
      Json before;
    };
    bool read_changed(const JsonPlace& place, JsonScalars& scalars);
    void undo_changes();

    bool is_known_ = false;  // what follows is whole
    std::string text_;
    std::vector<Json> values_;
    std::vector<JsonPlace> places_;
    std::vector<char> unescaped_;

    // Of the text that was matched last.
    std::vector<Change> changes_;
    std::vector<char> changed_unescaped_;
  };

  const Json* match(std::string_view text);
  const Json& parse_large(std::string_view text);
  void let_go_of_large();

  const SizeLimits limits_;
  std::array<Pattern, 4> patterns_;
  size_t newest_ = 0;
  uint64_t calls_ = 0;
  JsonDocument large_;  // a text that is not kept
  bool has_large_ = false;
};

}  // namespace taut::ai
