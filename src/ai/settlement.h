#pragma once
// What a call that is over took of a budget.

#include <cstdint>
#include <optional>

#include "taut/ai/error.h"
#include "taut/ai/prices.h"

namespace taut::ai {

struct Settlement {
  std::optional<int64_t> tokens;  // unset: as estimated
  std::optional<double> dollars;
};

/// Of a call that was answered. Where the usage is partial the estimate stands, unless what is
/// known is more.
Settlement settlement_of(const Usage& usage, std::optional<double> cost,
                         const CostEstimate& estimate);

/// Whether the provider may have worked for a call that ended so, and want money for it.
bool may_have_cost(const ErrorDetails& details);

}  // namespace taut::ai
