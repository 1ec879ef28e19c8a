#pragma once
// The same calls put to every provider: the bodies that come of them are golden files, and the
// vendors' own libraries judge them.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "src/ai/protocol.h"

namespace taut::ai::testing {

struct SampleRequest {
  std::string name;  // provider.call
  ProviderConfig config;
  bool is_stream = false;
  ChatRequest chat;
  std::optional<EmbeddingRequest> embedding;  // instead of a chat
};

std::vector<SampleRequest> sample_requests();
BuiltRequest build(const SampleRequest& sample);
/// What is sent for it: method, path, headers, body, and the warnings.
nlohmann::ordered_json sent_for(const SampleRequest& sample);

/// A conversation with pictures, reasoning, calls of tools and their results.
std::vector<Message> sample_conversation();

}  // namespace taut::ai::testing
