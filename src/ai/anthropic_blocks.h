#pragma once
// The content of an answer of POST /v1/messages, whole or in pieces.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "src/ai/json.h"
#include "src/ai/response_builder.h"

namespace taut::ai {

class AnthropicBlocks {
 public:
  explicit AnthropicBlocks(ResponseBuilder& builder) : builder_(builder) {}

  void begin(int64_t index, const Json& block, std::vector<StreamEvent>& events);
  void add_delta(int64_t index, const Json& delta, std::vector<StreamEvent>& events);
  void end(int64_t index, std::vector<StreamEvent>& events);

 private:
  enum class Kind : uint8_t { text, reasoning, call, other };
  struct Block {
    Kind kind = Kind::other;
    size_t place = 0;  // of reasoning, among the parts
    int call = 0;
    std::string own;    // JSON text of a block that is the provider's own
    std::string input;  // its input, in pieces
  };
  void begin_call(Block& block, const Json& json, std::vector<StreamEvent>& events);
  void begin_reasoning(Block& block, const Json& json, std::vector<StreamEvent>& events);
  void add_citation(const Json& json, std::vector<StreamEvent>& events);

  ResponseBuilder& builder_;
  std::map<int64_t, Block> open_;
};

}  // namespace taut::ai
