#pragma once
// Errors of OpenAI and of the many servers that answer as it does, in the shapes that each of them
// has.

#include "src/ai/http.h"
#include "src/ai/json.h"
#include "taut/ai/error.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

/// Whether a body or an event reports an error.
bool is_openai_error(const Json& json);
/// What it reports. `status` is 0 where it came inside a stream or a good answer.
ErrorDetails openai_error(const ProviderConfig& config, const Json& json, int status);
ErrorDetails parse_openai_error(const ProviderConfig& config, const HttpAnswer& answer);

}  // namespace taut::ai
