#pragma once
// Features of models: what one knows put over what another says, and which one a refusal is about.

#include <optional>
#include <string_view>

#include "taut/ai/capability.h"

namespace taut::ai {

/// What `more` knows counts; what it does not know stays.
TAUT_API void overlay(Capabilities& capabilities, const Capabilities& more);

/// The feature that a provider's parameter stands for, by the names of any provider.
TAUT_API std::optional<Feature> feature_of_parameter(std::string_view parameter);

}  // namespace taut::ai
