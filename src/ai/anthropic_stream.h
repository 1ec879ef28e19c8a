#pragma once
// The stream of an answer of POST /v1/messages.

#include <vector>

#include "src/ai/anthropic_blocks.h"
#include "src/ai/anthropic_message.h"
#include "src/ai/json_assembler.h"

namespace taut::ai {

class AnthropicAssembler final : public JsonAssembler {
 public:
  explicit AnthropicAssembler(const ProviderConfig& config)
      : JsonAssembler(config), message_(builder_), blocks_(builder_) {}

 protected:
  void add_json(const Json& json, std::vector<StreamEvent>& events) override;
  bool is_error(const Json& json) const override;
  ErrorDetails error_of(const Json& json) const override;
  /// Only message_stop ends such a stream.
  bool may_end() const override { return false; }

 private:
  AnthropicMessage message_;
  AnthropicBlocks blocks_;
};

}  // namespace taut::ai
