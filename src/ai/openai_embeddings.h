#pragma once
// POST /embeddings, in the dialects of the vendors.

#include "src/ai/protocol.h"

namespace taut::ai {

BuiltRequest openai_embedding_request(const ProviderConfig& config,
                                      const EmbeddingRequest& request);
EmbeddingResponse parse_openai_embeddings(const ProviderConfig& config,
                                          const EmbeddingRequest& request,
                                          const HttpAnswer& answer);

}  // namespace taut::ai
