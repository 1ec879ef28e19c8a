#pragma once
// Bodies of answers as JSON.

#include <string_view>
#include <vector>

#include "src/ai/http.h"
#include "src/ai/json.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

/// The body, which has to be an object. Throws malformed_response.
Json answer_object(const ProviderConfig& config, const HttpAnswer& answer);
/// The objects of a body with one on each line. Throws malformed_response.
std::vector<Json> answer_lines(const ProviderConfig& config, const HttpAnswer& answer);

}  // namespace taut::ai
