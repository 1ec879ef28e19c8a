#pragma once
// POST /chat/completions: OpenAI, and all who are like it.

#include "src/ai/protocol.h"

namespace taut::ai {

const ProtocolHandler& openai_chat_handler();

}  // namespace taut::ai
