#pragma once
// Names of models, files and batches as parts of a path.

#include <string>
#include <string_view>

#include "src/ai/refusal.h"

namespace taut::ai {

/// Percent-encoded. Throws invalid_request for a name that is empty, goes up the tree (..), or
/// holds control characters. Slashes stay where they `may_hold_slashes`, as in models/gemini-3-pro.
std::string path_segment(const ProviderConfig& config, std::string_view what, std::string_view name,
                         bool may_hold_slashes = false);

}  // namespace taut::ai
