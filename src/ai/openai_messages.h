#pragma once
// A conversation as POST /chat/completions has it.

#include "src/ai/request_json.h"
#include "taut/ai/provider_config.h"
#include "taut/ai/request.h"

namespace taut::ai {

/// Thoughts of earlier answers have a place with few vendors; they are left out for the others,
/// whose models do without.
RequestJson openai_messages(const ProviderConfig& config, const ChatRequest& request);

}  // namespace taut::ai
