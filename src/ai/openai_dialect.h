#pragma once
// What chat completions and responses write alike.

#include "src/ai/request_features.h"
#include "src/ai/request_json.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

/// Who is asking, in the field that the vendor has for it.
void put_openai_user(const ProviderConfig& config, CheckedRequest& request, RequestJson& body);

/// What this model takes with this request: some sample only where they do not reason.
Capabilities capabilities_for_request(const ProviderConfig& config, const ChatRequest& request,
                                      const Capabilities& capabilities);

}  // namespace taut::ai
