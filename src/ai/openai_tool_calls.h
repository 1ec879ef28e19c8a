#pragma once
// Calls of tools that arrive in pieces, from servers that number them well, all alike or not at
// all.

#include <optional>
#include <string>
#include <vector>

#include "src/ai/json.h"
#include "src/ai/response_builder.h"

namespace taut::ai {

/// The calls of one candidate.
class ToolCallPieces {
 public:
  /// The tool_calls of a delta, or of a whole message, where each is a call of its own.
  void add(const Json& pieces, bool is_whole, int candidate, ResponseBuilder& builder,
           std::vector<StreamEvent>& events);

 private:
  struct Slot {
    std::optional<int64_t> index;
    std::string id;  // as the server gave it
    std::string name;
    bool has_arguments = false;
    int64_t last_delta = 0;  // the number of the delta that last added to it
  };
  /// The place of the call that a piece belongs to; nothing where it begins one.
  std::optional<size_t> slot_of(std::optional<int64_t> index, const std::string& id,
                                const std::string& name) const;
  std::optional<size_t> slot_at(int64_t index, const std::string& id,
                                const std::string& name) const;

  std::vector<Slot> slots_;
  int64_t delta_ = 0;
};

}  // namespace taut::ai
