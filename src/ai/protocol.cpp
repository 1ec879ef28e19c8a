#include "src/ai/protocol.h"

#include "src/ai/anthropic.h"
#include "src/ai/gemini.h"
#include "src/ai/openai_chat.h"
#include "src/ai/openai_responses.h"

namespace taut::ai {

const ProtocolHandler& handler_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::openai_responses: return openai_responses_handler();
    case Protocol::anthropic: return anthropic_handler();
    case Protocol::gemini: return gemini_handler();
    default: return openai_chat_handler();
  }
}

}  // namespace taut::ai
