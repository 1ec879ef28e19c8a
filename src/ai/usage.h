#pragma once
// What the providers say of the tokens that a call took, in the words of taut::ai::Usage. They
// differ in what they count twice, and in what they leave out.

#include "src/ai/json.h"
#include "taut/ai/provider_config.h"
#include "taut/ai/response.h"

namespace taut::ai {

/// Streams tell the usage several times: the last word on each member counts.
TAUT_API void keep_last_usage(Json& usage, const Json& later);

/// The usage objects of POST /chat/completions, /responses, /v1/messages and of usageMetadata.
TAUT_API Usage usage_of_chat(const Json& usage, Vendor vendor);
TAUT_API Usage usage_of_responses(const Json& usage);
TAUT_API Usage usage_of_anthropic(const Json& usage);
TAUT_API Usage usage_of_gemini(const Json& usage);

}  // namespace taut::ai
