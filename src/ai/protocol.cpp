#include "src/ai/protocol.h"

#include "src/ai/openai_chat.h"

namespace taut::ai {

const ProtocolHandler& handler_of(Protocol protocol) {
  switch (protocol) {
    default: return openai_chat_handler();
  }
}

}  // namespace taut::ai
