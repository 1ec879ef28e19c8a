#pragma once
// POST /v1/messages: Anthropic, in both versions of its API.

#include "src/ai/protocol.h"

namespace taut::ai {

const ProtocolHandler& anthropic_handler();

}  // namespace taut::ai
