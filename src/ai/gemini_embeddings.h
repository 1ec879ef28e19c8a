#pragma once
// Gemini's batchEmbedContents.

#include "src/ai/protocol.h"

namespace taut::ai {

BuiltRequest gemini_embedding_request(const ProviderConfig& config,
                                      const EmbeddingRequest& request);
EmbeddingResponse parse_gemini_embeddings(const ProviderConfig& config,
                                          const EmbeddingRequest& request,
                                          const HttpAnswer& answer);

}  // namespace taut::ai
