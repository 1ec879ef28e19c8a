#pragma once
// Batches of OpenAI: a file of requests, and files of answers and of errors.

#include "src/ai/protocol.h"

namespace taut::ai {

/// `endpoint`: /v1/chat/completions or /v1/responses.
HttpRequest openai_batch_upload(const ProtocolHandler& handler, const ProviderConfig& config,
                                const BatchRequest& request, std::string_view endpoint);
HttpRequest openai_create_batch(const ProviderConfig& config, const HttpAnswer* upload,
                                std::string_view endpoint);
BatchStatus parse_openai_batch(const ProviderConfig& config, const HttpAnswer& answer);
std::vector<HttpRequest> openai_batch_results(const ProviderConfig& config,
                                              const BatchStatus& status);
std::vector<BatchResult> parse_openai_batch_results(const ProtocolHandler& handler,
                                                    const ProviderConfig& config,
                                                    const HttpAnswer& answer);

}  // namespace taut::ai
