#include "taut/ai/response.h"

#include "taut/ai/capability.h"

namespace taut::ai {

namespace {

constexpr std::string_view kReasonNames[] = {"stop",   "length", "tool_calls", "content_filter",
                                             "paused", "error",  "unknown"};
static_assert(std::size(kReasonNames) == static_cast<size_t>(FinishReason::unknown) + 1);

constexpr std::string_view kFeatureNames[] = {
    "system_prompt", "temperature",
    "top_p",         "top_k",
    "penalties",     "seed",
    "stop",          "candidates",
    "json_object",   "json_schema",
    "tools",         "parallel_tool_calls",
    "logprobs",      "reasoning_effort",
    "images",        "streaming",
    "embeddings",    "batches",
    "model_list",
};
static_assert(std::size(kFeatureNames) == kFeatures);

std::string texts_of(const std::vector<Part>& parts) {
  std::string text;
  for (const Part& part : parts) {
    if (const auto* piece = std::get_if<TextPart>(&part)) text += piece->text;
  }
  return text;
}

}  // namespace

std::string_view name(FinishReason reason) {
  const auto index = static_cast<size_t>(reason);
  return index < std::size(kReasonNames) ? kReasonNames[index] : std::string_view("unknown");
}

std::string_view name(Feature feature) {
  const auto index = static_cast<size_t>(feature);
  return index < std::size(kFeatureNames) ? kFeatureNames[index] : std::string_view("unknown");
}

std::string Message::text() const { return texts_of(parts); }

std::string Candidate::text() const { return texts_of(parts); }

std::string Candidate::reasoning() const {
  std::string text;
  for (const Part& part : parts) {
    if (const auto* piece = std::get_if<ReasoningPart>(&part)) text += piece->text;
  }
  return text;
}

std::vector<ToolCall> Candidate::tool_calls() const {
  std::vector<ToolCall> calls;
  for (const Part& part : parts) {
    if (const auto* call = std::get_if<ToolCall>(&part)) calls.push_back(*call);
  }
  return calls;
}

}  // namespace taut::ai
