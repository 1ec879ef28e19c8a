#pragma once
// What one knows of a model put over what another says.

#include "taut/ai/capability.h"

namespace taut::ai {

/// What `more` knows counts; what it does not know stays.
TAUT_API void overlay(Capabilities& capabilities, const Capabilities& more);

}  // namespace taut::ai
