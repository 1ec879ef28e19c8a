#pragma once
// What the protocols with embeddings share.

#include <cstdint>
#include <vector>

#include "src/ai/json.h"
#include "taut/ai/capability.h"
#include "taut/ai/provider_config.h"
#include "taut/ai/request.h"

namespace taut::ai {

/// Throws invalid_request for a request that no provider answers: no model, no inputs, an empty
/// one.
void check_embedding_request(const ProviderConfig& config, const EmbeddingRequest& request);

/// Throws unsupported_parameter where the model is known to have no embeddings.
void check_embeddings(const ProviderConfig& config, const std::string& model,
                      const Capabilities& capabilities);

/// How numbers stand in a base64 string. Signs have a bit each, the first one highest: 1 or -1.
enum class PackedNumbers : uint8_t { float32, int8, signs };

/// The numbers of an array, or of a base64 string. Throws malformed_response for what is neither,
/// is empty or is not finite.
std::vector<float> embedding_of(const ProviderConfig& config, const Json& json,
                                PackedNumbers packing);

}  // namespace taut::ai
