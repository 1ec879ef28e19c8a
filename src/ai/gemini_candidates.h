#pragma once
// A GenerateContentResponse of Gemini: an answer, or a piece of one.

#include <string>
#include <vector>

#include "src/ai/json.h"
#include "src/ai/response_builder.h"
#include "src/ai/usage.h"

namespace taut::ai {

class GeminiReader {
 public:
  explicit GeminiReader(ResponseBuilder& builder) : builder_(builder) {}

  void add(const Json& json, std::vector<StreamEvent>& events);

 private:
  void add_candidate(const Json& json, int64_t place, std::vector<StreamEvent>& events);
  void add_part(const Json& part, int candidate, std::vector<TokenLogprob>& logprobs,
                std::vector<StreamEvent>& events);
  void add_text(const Json& part, int candidate, std::vector<TokenLogprob>& logprobs,
                std::vector<StreamEvent>& events);
  void add_call(const Json& part, int candidate, std::vector<StreamEvent>& events);
  void add_picture(const Json& data, int candidate);
  void add_sources(const Json& candidate, std::vector<StreamEvent>& events);
  void add_block(const Json& feedback, std::vector<StreamEvent>& events);

  ResponseBuilder& builder_;
  UsageNumbers usage_;
};

}  // namespace taut::ai
