#pragma once
// Perplexity's jobs, which take the place of batches there: each is one request.

#include <vector>

#include "src/ai/protocol.h"

namespace taut::ai {

/// Throws where there is more than one item.
HttpRequest perplexity_create_job(const ProtocolHandler& handler, const ProviderConfig& config,
                                  const BatchRequest& request);
/// Its status, and its answer when it is there.
HttpRequest perplexity_job(const ProviderConfig& config, const std::string& id);
BatchStatus parse_perplexity_job(const ProviderConfig& config, const HttpAnswer& answer);
/// One result, by the name of the job: the provider keeps no other.
std::vector<BatchResult> parse_perplexity_job_result(const ProtocolHandler& handler,
                                                     const ProviderConfig& config,
                                                     const HttpAnswer& answer);

}  // namespace taut::ai
