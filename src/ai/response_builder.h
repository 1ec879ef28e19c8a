#pragma once
// Puts an answer together from its pieces, and tells each piece as an event. Whole answers are
// built the same way, of few pieces.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/ai/json.h"
#include "taut/ai/event.h"
#include "taut/ai/provider_config.h"
#include "taut/ai/response.h"

namespace taut::ai {

class ResponseBuilder {
 public:
  explicit ResponseBuilder(const ProviderConfig& config);

  ChatResponse& response() { return response_; }
  const ChatResponse& response() const { return response_; }

  /// Throws malformed_response for a place that no provider has candidates at.
  int candidate(int64_t index);
  Candidate& at(int candidate) { return response_.candidates[static_cast<size_t>(candidate)]; }

  void add_text(int candidate, std::string text, std::vector<TokenLogprob> logprobs,
                std::vector<StreamEvent>& events);
  /// A piece of text that carries a signature stays a part of its own.
  void add_signed_text(int candidate, TextPart part, std::vector<StreamEvent>& events);
  void add_refusal(int candidate, std::string text, std::vector<TokenLogprob> logprobs,
                   std::vector<StreamEvent>& events);
  void add_reasoning(int candidate, std::string text, std::vector<StreamEvent>& events);
  /// Of a part that goes back unchanged.
  void add_reasoning_part(int candidate, ReasoningPart part, std::vector<StreamEvent>& events);

  /// A part of reasoning that goes on in pieces, by its place among the parts.
  size_t begin_reasoning(int candidate);
  ReasoningPart& reasoning(int candidate, size_t place);
  void add_to_reasoning(int candidate, size_t place, std::string text,
                        std::vector<StreamEvent>& events);

  /// The number of the new call. An id that is missing is made up.
  int begin_call(int candidate, ToolCall call, std::vector<StreamEvent>& events);
  void add_arguments(int candidate, int call, std::string_view arguments,
                     std::vector<StreamEvent>& events);
  ToolCall& call(int candidate, int call);
  int calls(int candidate) const;

  void add_citation(Citation citation, std::vector<StreamEvent>& events);
  /// A list of all citations, which may be longer than the last one.
  void set_citations(std::vector<Citation> citations, std::vector<StreamEvent>& events);
  void set_usage(const Usage& usage, std::vector<StreamEvent>& events);
  /// Once for each candidate; later words are not heard.
  void finish(int candidate, FinishReason reason, std::string raw,
              std::vector<StreamEvent>& events);
  bool is_finished(int candidate) const;
  /// Whether there are candidates, and all are finished.
  bool all_finished() const;
  /// Whether something was told that a reader may have used.
  bool has_output() const { return has_output_; }
  /// What more of the last part needs: see Note [Fetching chains].
  void fetch(int depth) const;

 private:
  struct Progress {
    std::vector<size_t> calls;  // their places among the parts
    bool is_finished = false;
  };
  /// An event of the answer itself, to be filled in.
  StreamEvent& emit(StreamEvent::Kind kind, int candidate, std::vector<StreamEvent>& events);
  const Progress& progress(int candidate) const;

  std::string provider_;
  ChatResponse response_;
  std::vector<Progress> progress_;
  bool has_output_ = false;
};

/// Whether an id was made up because the provider gave none.
bool is_made_up_call_id(std::string_view id);

}  // namespace taut::ai
