#pragma once
// A request as Gemini's generateContent has it.

#include <string>
#include <vector>

#include "src/ai/request_json.h"
#include "taut/ai/capability.h"
#include "taut/ai/provider_config.h"
#include "taut/ai/request.h"

namespace taut::ai {

RequestJson gemini_body(const ProviderConfig& config, const ChatRequest& request,
                        const Capabilities& capabilities, bool is_stream,
                        std::vector<std::string>& warnings);

/// /v1/models/gemini-3-pro:generateContent. A name that says what it is of (tunedModels/...) stays
/// as it is.
std::string gemini_model_path(const ProviderConfig& config, std::string_view model,
                              std::string_view method);
/// /v1 or what the config says.
std::string gemini_root(const ProviderConfig& config);
/// models/gemini-3-pro.
std::string gemini_model_name(std::string_view model);

}  // namespace taut::ai
