#pragma once
// Thoughts that a model writes into its answer, between <think> and </think> before the rest.

#include <string>
#include <string_view>

#include "taut/base/macros.h"

namespace taut::ai {

/// Parts such a text, which may come in any pieces.
class TAUT_API ThinkSplitter {
 public:
  struct Pieces {
    std::string reasoning;
    std::string text;
  };
  Pieces add(std::string_view piece);
  /// What was held back, because it might have been the beginning of a mark.
  Pieces finish();

 private:
  enum class State { before, inside, after_mark, after };
  State state_ = State::before;
  std::string held_;
};

}  // namespace taut::ai
