#include "src/ai/finish_reason.h"

namespace taut::ai {
namespace {

struct Word {
  std::string_view word;
  FinishReason reason;
};

constexpr Word kChat[] = {
    {"stop", FinishReason::stop},
    {"length", FinishReason::length},
    {"tool_calls", FinishReason::tool_calls},
    {"function_call", FinishReason::tool_calls},
    {"content_filter", FinishReason::content_filter},
};

constexpr Word kAnthropic[] = {
    {"end_turn", FinishReason::stop},       {"stop_sequence", FinishReason::stop},
    {"max_tokens", FinishReason::length},   {"model_context_window_exceeded", FinishReason::length},
    {"tool_use", FinishReason::tool_calls}, {"refusal", FinishReason::content_filter},
    {"pause_turn", FinishReason::paused},
};

constexpr Word kGemini[] = {
    {"STOP", FinishReason::stop},
    {"MAX_TOKENS", FinishReason::length},
    {"SAFETY", FinishReason::content_filter},
    {"RECITATION", FinishReason::content_filter},
    {"LANGUAGE", FinishReason::content_filter},
    {"BLOCKLIST", FinishReason::content_filter},
    {"PROHIBITED_CONTENT", FinishReason::content_filter},
    {"SPII", FinishReason::content_filter},
    {"IMAGE_SAFETY", FinishReason::content_filter},
    {"IMAGE_PROHIBITED_CONTENT", FinishReason::content_filter},
    {"IMAGE_RECITATION", FinishReason::content_filter},
    {"MALFORMED_FUNCTION_CALL", FinishReason::error},
    {"UNEXPECTED_TOOL_CALL", FinishReason::error},
    {"TOO_MANY_TOOL_CALLS", FinishReason::error},
    {"MALFORMED_RESPONSE", FinishReason::error},
};

template <size_t n>
FinishReason look_up(const Word (&words)[n], std::string_view word) {
  for (const Word& known : words) {
    if (known.word == word) return known.reason;
  }
  return FinishReason::unknown;
}

}  // namespace

FinishReason finish_reason_of_chat(std::string_view word) { return look_up(kChat, word); }
FinishReason finish_reason_of_anthropic(std::string_view word) { return look_up(kAnthropic, word); }
FinishReason finish_reason_of_gemini(std::string_view word) { return look_up(kGemini, word); }

FinishReason finish_reason_of_responses(std::string_view status, std::string_view reason) {
  if (status == "completed") return FinishReason::stop;
  if (status == "failed" || status == "cancelled") return FinishReason::error;
  if (status != "incomplete") return FinishReason::unknown;
  if (reason == "max_output_tokens") return FinishReason::length;
  if (reason == "content_filter") return FinishReason::content_filter;
  return FinishReason::unknown;
}

}  // namespace taut::ai
