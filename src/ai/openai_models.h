#pragma once
// GET /models.

#include "src/ai/protocol.h"

namespace taut::ai {

ModelPage parse_openai_models(const ProviderConfig& config, const HttpAnswer& answer);

}  // namespace taut::ai
