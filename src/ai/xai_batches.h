#pragma once
// xAI's batches: made of a file as OpenAI's are, but told by counts, and with results in pages.

#include <vector>

#include "src/ai/protocol.h"

namespace taut::ai {

/// Of the answer to the upload of its file.
HttpRequest xai_create_batch(const ProviderConfig& config, const HttpAnswer* upload);
HttpRequest xai_cancel_batch(const ProviderConfig& config, const std::string& id);
BatchStatus parse_xai_batch(const ProviderConfig& config, const HttpAnswer& answer);

HttpRequest xai_batch_results(const ProviderConfig& config, const BatchStatus& status);
/// The page behind this one.
std::optional<HttpRequest> xai_batch_results_after(const ProviderConfig& config,
                                                   const HttpRequest& page,
                                                   const HttpAnswer& answer);
std::vector<BatchResult> parse_xai_batch_results(const ProtocolHandler& handler,
                                                 const ProviderConfig& config,
                                                 const HttpAnswer& answer);

}  // namespace taut::ai
