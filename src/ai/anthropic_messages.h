#pragma once
// A conversation as POST /v1/messages has it.

#include "src/ai/request_features.h"
#include "src/ai/request_json.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

struct AnthropicConversation {
  RequestJson system;  // null where there is none
  RequestJson messages;
};

/// Instructions before all else become the system prompt, later ones messages of their own.
AnthropicConversation anthropic_conversation(const ProviderConfig& config, CheckedRequest& request);

}  // namespace taut::ai
