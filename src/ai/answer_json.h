#pragma once
// Bodies of answers as JSON.

#include <string_view>
#include <vector>

#include "src/ai/http.h"
#include "src/ai/json.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

/// The body, which has to be an object, and to outlive what is given. Throws malformed_response.
JsonDocument answer_object(const ProviderConfig& config, const HttpAnswer& answer);
/// The same of a body with one object on each line.
std::vector<JsonDocument> answer_lines(const ProviderConfig& config, const HttpAnswer& answer);

}  // namespace taut::ai
