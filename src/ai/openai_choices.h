#pragma once
// The choices of a chat completion, whole or in pieces, in the dialects of the vendors.

#include <string>
#include <vector>

#include "src/ai/json.h"
#include "src/ai/openai_tool_calls.h"
#include "src/ai/response_builder.h"
#include "src/ai/think_splitter.h"
#include "src/ai/usage.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

class ChoiceReader {
 public:
  ChoiceReader(const ProviderConfig& config, ResponseBuilder& builder)
      : vendor_(config.vendor), builder_(builder) {}

  /// A chunk of a stream, or an answer, whose choices have messages instead of deltas.
  void add(const Json& json, bool is_whole, std::vector<StreamEvent>& events);
  /// What that needs: see Note [Fetching chains].
  void fetch(int depth) const;

 private:
  struct Choice {
    ToolCallPieces calls;
    ThinkSplitter thoughts;
    bool is_refused = false;
  };
  void add_choice(const Json& json, int64_t place, bool is_whole, std::vector<StreamEvent>& events);
  void add_message(const Json& message, const Json& logprobs, int candidate, bool is_whole,
                   std::vector<StreamEvent>& events);
  void add_text(std::string text, std::vector<TokenLogprob> logprobs, int candidate,
                std::vector<StreamEvent>& events);
  void add_refusal(const Json& message, const Json& logprobs, int candidate,
                   std::vector<StreamEvent>& events);
  void add_annotations(const Json& message, std::vector<StreamEvent>& events);
  void add_sources(const Json& json, std::vector<StreamEvent>& events);
  void finish(int candidate, const std::string& word, std::vector<StreamEvent>& events);

  const Vendor vendor_;
  ResponseBuilder& builder_;
  std::vector<Choice> choices_;
  UsageNumbers usage_;
};

}  // namespace taut::ai
