#pragma once
// Batches of Gemini: the requests in one body for one model, the answers in the operation that is
// asked for until it is done.

#include "src/ai/protocol.h"

namespace taut::ai {

HttpRequest gemini_create_batch(const ProtocolHandler& handler, const ProviderConfig& config,
                                const BatchRequest& request);
HttpRequest gemini_batch(const ProviderConfig& config, std::string_view id);
/// `output` is what the status told: the batch itself, or the file of its results.
HttpRequest gemini_batch_results(const ProviderConfig& config, std::string_view output);
HttpRequest gemini_cancel_batch(const ProviderConfig& config, std::string_view id);
BatchStatus parse_gemini_batch(const ProviderConfig& config, const HttpAnswer& answer);
std::vector<BatchResult> parse_gemini_batch_results(const ProtocolHandler& handler,
                                                    const ProviderConfig& config,
                                                    const HttpAnswer& answer);

}  // namespace taut::ai
