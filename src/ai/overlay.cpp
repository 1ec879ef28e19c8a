#include "src/ai/overlay.h"

namespace taut::ai {

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

}  // namespace taut::ai
