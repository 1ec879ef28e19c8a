#include "src/ai/settlement.h"

#include <algorithm>

namespace taut::ai {

Settlement settlement_of(const Usage& usage, std::optional<double> cost,
                         const CostEstimate& estimate) {
  Settlement settlement{usage.total, cost};
  if (!settlement.tokens && usage.input_total) {
    settlement.tokens = *usage.input_total + usage.output_total.value_or(0);
  }
  if (!usage.partial) return settlement;
  settlement.tokens = std::max(settlement.tokens.value_or(0), estimate.tokens());
  if (cost && estimate.cost) settlement.dollars = std::max(*cost, *estimate.cost);
  return settlement;
}

bool may_have_cost(const ErrorDetails& details) {
  if (details.partial_output) return true;
  switch (details.kind) {
    case ErrorKind::connection:
    case ErrorKind::timeout_connect:
    case ErrorKind::rate_limited:
    case ErrorKind::quota_exhausted:
    case ErrorKind::overloaded:
    case ErrorKind::server_error:
    case ErrorKind::auth:
    case ErrorKind::permission:
    case ErrorKind::not_found:
    case ErrorKind::invalid_request:
    case ErrorKind::unsupported_parameter:
    case ErrorKind::context_length:
    case ErrorKind::request_too_large:
    case ErrorKind::tls_verify:
    case ErrorKind::budget_exceeded:
    case ErrorKind::no_healthy_provider: return false;
    default: return true;
  }
}

}  // namespace taut::ai
