#pragma once
// What an answer of POST /v1/messages says beside its content.

#include <vector>

#include "src/ai/json.h"
#include "src/ai/response_builder.h"
#include "src/ai/usage.h"

namespace taut::ai {

class AnthropicMessage {
 public:
  explicit AnthropicMessage(ResponseBuilder& builder) : builder_(builder) {}

  /// id, model and usage of a message that begins, or is whole.
  void begin(const Json& message, std::vector<StreamEvent>& events);
  /// stop_reason and what belongs to it.
  void stop(const Json& message, std::vector<StreamEvent>& events);
  void add_usage(const Json& usage, std::vector<StreamEvent>& events);

 private:
  ResponseBuilder& builder_;
  UsageNumbers usage_;
};

}  // namespace taut::ai
