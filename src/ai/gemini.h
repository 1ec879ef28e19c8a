#pragma once
// Google's Gemini, by its own API.

#include "src/ai/protocol.h"

namespace taut::ai {

const ProtocolHandler& gemini_handler();

}  // namespace taut::ai
