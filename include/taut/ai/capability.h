#pragma once
// What a model can do, as far as it is known.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "taut/base/macros.h"

namespace taut::ai {

enum class Answer : uint8_t { no, yes, unknown };

/// What a request may need of a model.
enum class Feature : uint8_t {
  system_prompt,
  temperature,
  top_p,
  top_k,
  penalties,
  seed,
  stop,
  candidates,
  json_object,
  json_schema,
  tools,
  parallel_tool_calls,
  logprobs,
  reasoning_effort,
  images,
  streaming,
  embeddings,
  batches,
  model_list,
};
constexpr int kFeatures = static_cast<int>(Feature::model_list) + 1;
TAUT_API std::string_view name(Feature feature);

/// What one model of one provider can do.
struct Capabilities {
  Answer answers[kFeatures];
  std::optional<int64_t> context_length;  // tokens
  std::optional<int64_t> max_output_tokens;
  int max_top_logprobs = 20;
  int max_stops = 4;

  Capabilities() {
    for (Answer& answer : answers) answer = Answer::unknown;
  }
  Answer operator[](Feature feature) const { return answers[static_cast<int>(feature)]; }
  Answer& operator[](Feature feature) { return answers[static_cast<int>(feature)]; }
};

}  // namespace taut::ai
