#include "src/ai/needs.h"

#include <algorithm>

#include "taut/ai/prices.h"

namespace taut::ai {
namespace {

bool has_image(const ChatRequest& request) {
  return std::any_of(request.messages.begin(), request.messages.end(), [](const Message& message) {
    return std::any_of(message.parts.begin(), message.parts.end(),
                       [](const Part& part) { return std::holds_alternative<ImagePart>(part); });
  });
}

bool has_system_prompt(const ChatRequest& request) {
  return std::any_of(request.messages.begin(), request.messages.end(),
                     [](const Message& message) { return message.role == Role::system; });
}

}  // namespace

Needs needs_of(const ChatRequest& request, bool is_stream) {
  Needs needs;
  needs.input_tokens = estimated_input_tokens(request);
  needs.output_tokens = request.max_output_tokens.value_or(0);
  const auto need = [&needs](Feature feature, bool is_needed) {
    if (is_needed) needs.features.push_back(feature);
  };
  // What may be dropped is no reason to leave a model out.
  const bool is_strict = request.features == FeaturePolicy::error;
  need(Feature::streaming, is_stream);
  need(Feature::images, has_image(request));
  need(Feature::tools, !request.tools.empty());
  if (!is_strict) return needs;
  need(Feature::system_prompt, has_system_prompt(request));
  need(Feature::temperature, request.temperature.has_value());
  need(Feature::top_p, request.top_p.has_value());
  need(Feature::top_k, request.top_k.has_value());
  need(Feature::penalties, request.presence_penalty || request.frequency_penalty);
  need(Feature::seed, request.seed.has_value());
  need(Feature::stop, !request.stop.empty());
  need(Feature::candidates, request.candidates.value_or(1) > 1);
  const auto kind = request.format ? request.format->kind : ResponseFormat::Kind::text;
  need(Feature::json_object, kind == ResponseFormat::Kind::json_object);
  need(Feature::json_schema, kind == ResponseFormat::Kind::json_schema);
  need(Feature::parallel_tool_calls, request.parallel_tool_calls.has_value());
  need(Feature::logprobs, request.logprobs || request.top_logprobs != 0);
  need(Feature::reasoning_effort, request.reasoning_effort.has_value());
  return needs;
}

Needs needs_of(const EmbeddingRequest& request) {
  Needs needs;
  needs.input_tokens = estimated_input_tokens(request);
  needs.features.push_back(Feature::embeddings);
  return needs;
}

std::string missing_features(const Needs& needs, const Capabilities& capabilities) {
  std::string missing;
  for (Feature feature : needs.features) {
    if (capabilities[feature] != Answer::no) continue;
    missing += missing.empty() ? "" : ", ";
    missing += name(feature);
  }
  return missing;
}

bool surely_has(const Needs& needs, const Capabilities& capabilities) {
  return std::all_of(needs.features.begin(), needs.features.end(),
                     [&](Feature feature) { return capabilities[feature] == Answer::yes; });
}

}  // namespace taut::ai
