#pragma once
// Errors as Google's APIs report them.

#include "src/ai/http.h"
#include "src/ai/json.h"
#include "taut/ai/error.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

bool is_gemini_error(const Json& json);
/// What it reports. `status` is 0 where it came inside a stream or a good answer.
ErrorDetails gemini_error(const ProviderConfig& config, const Json& json, int status);
ErrorDetails parse_gemini_error(const ProviderConfig& config, const HttpAnswer& answer);

}  // namespace taut::ai
