#pragma once
// Batches of Anthropic: the requests in one body, the answers one on each line.

#include "src/ai/protocol.h"

namespace taut::ai {

HttpRequest anthropic_create_batch(const ProtocolHandler& handler, const ProviderConfig& config,
                                   const BatchRequest& request);
BatchStatus parse_anthropic_batch(const ProviderConfig& config, const HttpAnswer& answer);
std::vector<BatchResult> parse_anthropic_batch_results(const ProtocolHandler& handler,
                                                       const ProviderConfig& config,
                                                       const HttpAnswer& answer);

}  // namespace taut::ai
