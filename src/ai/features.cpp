#include "src/ai/features.h"

namespace taut::ai {

namespace {

struct Parameter {
  std::string_view name;
  Feature feature;
};
constexpr Parameter kParameters[] = {
    {"temperature", Feature::temperature},
    {"top_p", Feature::top_p},
    {"topP", Feature::top_p},
    {"top_k", Feature::top_k},
    {"topK", Feature::top_k},
    {"presence_penalty", Feature::penalties},
    {"presencePenalty", Feature::penalties},
    {"frequency_penalty", Feature::penalties},
    {"frequencyPenalty", Feature::penalties},
    {"seed", Feature::seed},
    {"stop", Feature::stop},
    {"stop_sequences", Feature::stop},
    {"stopSequences", Feature::stop},
    {"n", Feature::candidates},
    {"candidateCount", Feature::candidates},
    {"response_format", Feature::json_schema},
    {"text.format", Feature::json_schema},
    {"output_config.format", Feature::json_schema},
    {"responseJsonSchema", Feature::json_schema},
    {"tools", Feature::tools},
    {"tool_choice", Feature::tools},
    {"toolConfig", Feature::tools},
    {"parallel_tool_calls", Feature::parallel_tool_calls},
    {"logprobs", Feature::logprobs},
    {"top_logprobs", Feature::logprobs},
    {"responseLogprobs", Feature::logprobs},
    {"reasoning_effort", Feature::reasoning_effort},
    {"reasoning.effort", Feature::reasoning_effort},
    {"reasoning", Feature::reasoning_effort},
    {"output_config.effort", Feature::reasoning_effort},
    {"thinking", Feature::reasoning_effort},
    {"stream", Feature::streaming},
};

}  // namespace

void overlay(Capabilities& capabilities, const Capabilities& more) {
  const Capabilities nothing;
  for (int i = 0; i < kFeatures; ++i) {
    if (more.answers[i] != Answer::unknown) capabilities.answers[i] = more.answers[i];
  }
  if (more.context_length) capabilities.context_length = more.context_length;
  if (more.max_output_tokens) capabilities.max_output_tokens = more.max_output_tokens;
  if (more.max_top_logprobs != nothing.max_top_logprobs) {
    capabilities.max_top_logprobs = more.max_top_logprobs;
  }
  if (more.max_stops != nothing.max_stops) capabilities.max_stops = more.max_stops;
}

std::optional<Feature> feature_of_parameter(std::string_view parameter) {
  for (const Parameter& known : kParameters) {
    if (parameter == known.name) return known.feature;
    // Gemini's stand within generationConfig.
    if (parameter.size() > known.name.size() && parameter.ends_with(known.name) &&
        parameter.substr(0, parameter.size() - known.name.size()) == "generationConfig.") {
      return known.feature;
    }
  }
  return std::nullopt;
}

}  // namespace taut::ai
