#pragma once
// A conversation as POST /responses has it.

#include <string>

#include "src/ai/request_json.h"
#include "taut/ai/provider_config.h"
#include "taut/ai/request.h"

namespace taut::ai {

struct ResponsesConversation {
  std::string instructions;  // what the system says before all else
  RequestJson input;
};

ResponsesConversation responses_conversation(const ProviderConfig& config,
                                             const ChatRequest& request);

}  // namespace taut::ai
