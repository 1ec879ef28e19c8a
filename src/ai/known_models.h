#pragma once
// What Taut knows of models by whose they are and by the family that their names tell. The rest is
// unknown, and a refusal teaches it.

#include <string>
#include <string_view>

#include "taut/ai/capability.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

/// OpenAI's o-series, and gpt-5 and later but for their chat models.
TAUT_API bool is_openai_reasoning(std::string_view model);
/// Those that take sampling parameters while they are told not to reason: gpt-5.1 and later.
TAUT_API bool may_sample_without_reasoning(std::string_view model);
/// Whether OpenAI calls the role of instructions "developer" for this model.
TAUT_API bool has_developer_role(std::string_view model);
/// Grok's models that reason.
TAUT_API bool is_grok_reasoning(std::string_view model);

/// By the protocol and vendor of the config.
TAUT_API Capabilities known_capabilities_of(const ProviderConfig& config, const std::string& model);

/// The first of Anthropic's versions without sampling parameters, and with the key as a bearer
/// token.
constexpr std::string_view kAnthropicWithoutSampling = "2026-10-21";
std::string_view anthropic_version(const ProviderConfig& config);

}  // namespace taut::ai
