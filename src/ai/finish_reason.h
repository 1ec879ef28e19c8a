#pragma once
// The providers' words for why an answer ended.

#include <string_view>

#include "taut/ai/response.h"

namespace taut::ai {

/// finish_reason of POST /chat/completions, stop_reason of /v1/messages and Gemini's finishReason.
/// A word that is not known is FinishReason::unknown.
TAUT_API FinishReason finish_reason_of_chat(std::string_view word);
TAUT_API FinishReason finish_reason_of_anthropic(std::string_view word);
TAUT_API FinishReason finish_reason_of_gemini(std::string_view word);
/// Of /responses, by its status and incomplete_details.reason.
TAUT_API FinishReason finish_reason_of_responses(std::string_view status, std::string_view reason);

}  // namespace taut::ai
