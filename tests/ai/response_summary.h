#pragma once
// What a response says, as JSON: for golden files, and for comparing it with other libraries'
// reading.

#include <nlohmann/json.hpp>
#include <vector>

#include "taut/ai/event.h"
#include "taut/ai/response.h"

namespace taut::ai::testing {

/// Numbers that are not told are null.
nlohmann::ordered_json summary_of(const ChatResponse& response);
nlohmann::ordered_json summary_of(const StreamEvent& event);
nlohmann::ordered_json summary_of(const ErrorDetails& details);

}  // namespace taut::ai::testing
