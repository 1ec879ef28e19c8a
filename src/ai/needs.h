#pragma once
// What a request needs of the model that answers it.

#include <cstdint>
#include <string>
#include <vector>

#include "taut/ai/capability.h"
#include "taut/ai/request.h"

namespace taut::ai {

struct Needs {
  std::vector<Feature> features;
  int64_t input_tokens = 0;   // a guess
  int64_t output_tokens = 0;  // that are asked for at most; 0: no limit was set
};

TAUT_API Needs needs_of(const ChatRequest& request, bool is_stream);
TAUT_API Needs needs_of(const EmbeddingRequest& request);

/// The features that the model is known not to have, as text; empty where it may have all.
TAUT_API std::string missing_features(const Needs& needs, const Capabilities& capabilities);
/// Whether the model is known to have all of them.
TAUT_API bool surely_has(const Needs& needs, const Capabilities& capabilities);

}  // namespace taut::ai
