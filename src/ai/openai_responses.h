#pragma once
// POST /responses: OpenAI, xAI and Perplexity.

#include "src/ai/protocol.h"

namespace taut::ai {

const ProtocolHandler& openai_responses_handler();

}  // namespace taut::ai
