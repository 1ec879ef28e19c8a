#pragma once
// A conversation as Gemini's generateContent has it.

#include "src/ai/request_features.h"
#include "src/ai/request_json.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

struct GeminiConversation {
  RequestJson system;  // null where there is none
  RequestJson contents;
};

/// Gemini knows instructions only before all else: later ones are put there, with a warning.
GeminiConversation gemini_conversation(const ProviderConfig& config, CheckedRequest& request);

}  // namespace taut::ai
