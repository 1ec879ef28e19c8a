#pragma once
// The pieces in which an answer arrives.

#include <cstdint>
#include <string>
#include <vector>

#include "taut/ai/boxed.h"
#include "taut/ai/response.h"

namespace taut::ai {

struct StreamEvent {
  enum class Kind : uint8_t {
    text,       // more of the answer: `text`
    reasoning,  // more of the thoughts: `text`
    refusal,    // more of a refusal: `text`
    tool_call,  // a call begins or goes on: `call`, whose arguments are those that are new
    citation,   // `citation`
    usage,      // what is known of the usage by now: `usage`
    finish,     // a candidate is complete: `finish_reason`
    restart,    // another provider begins anew: forget what came before
  };
  Kind kind = Kind::text;
  int candidate = 0;
  int call_index = 0;  // which of the candidate's calls
  FinishReason finish_reason = FinishReason::unknown;
  std::string text;
  std::vector<TokenLogprob> logprobs;  // of `text`, where they were asked for
  // Of their kinds alone: most events are of none of these.
  Boxed<ToolCall> call;  // id and name are set when it begins
  Boxed<Citation> citation;
  Boxed<Usage> usage;
};

}  // namespace taut::ai
