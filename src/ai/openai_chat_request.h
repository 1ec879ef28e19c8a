#pragma once
// A request as POST /chat/completions has it, in the dialects of the vendors.

#include <string>
#include <vector>

#include "src/ai/request_json.h"
#include "taut/ai/capability.h"
#include "taut/ai/provider_config.h"
#include "taut/ai/request.h"

namespace taut::ai {

RequestJson openai_chat_body(const ProviderConfig& config, const ChatRequest& request,
                             const Capabilities& capabilities, bool is_stream,
                             std::vector<std::string>& warnings);

}  // namespace taut::ai
