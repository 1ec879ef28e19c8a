#pragma once
// Log-probabilities of tokens, as the providers write them. What they leave out is NaN; -9999, with
// which OpenAI and vLLM say "too unlikely to tell", stays as it is.

#include <vector>

#include "src/ai/json.h"
#include "taut/ai/response.h"

namespace taut::ai {

/// A list of {token, logprob, bytes, top_logprobs}, as chat completions and responses have it.
std::vector<TokenLogprob> logprobs_of_openai(const Json& list);
/// Gemini's logprobsResult.
std::vector<TokenLogprob> logprobs_of_gemini(const Json& result);

}  // namespace taut::ai
