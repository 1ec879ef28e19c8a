#include "src/ai/anthropic_message.h"

#include "src/ai/finish_reason.h"

namespace taut::ai {

void AnthropicMessage::begin(const Json& message, std::vector<StreamEvent>& events) {
  builder_.candidate(0);
  ChatResponse& response = builder_.response();
  if (response.id.empty()) response.id = text_of(message, "id");
  if (response.model.empty()) response.model = text_of(message, "model");
  add_usage(member(message, "usage"), events);
}

void AnthropicMessage::stop(const Json& message, std::vector<StreamEvent>& events) {
  const std::string word = text_of(message, "stop_reason");
  if (word.empty()) return;
  const int candidate = builder_.candidate(0);
  if (word == "refusal" && !builder_.is_finished(candidate)) {
    builder_.add_refusal(candidate, text_of(message, "stop_details", "explanation"), {}, events);
  }
  builder_.finish(candidate, finish_reason_of_anthropic(word), word, events);
}

void AnthropicMessage::add_usage(const Json& usage, std::vector<StreamEvent>& events) {
  if (!usage.is_object()) return;
  usage_.add(usage);
  builder_.set_usage(usage_of_anthropic(usage_), events);
}

}  // namespace taut::ai
