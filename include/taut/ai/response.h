#pragma once
// What a provider answered, in words that are the same for all. What the provider itself wrote is
// kept beside it (`raw`).

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "taut/ai/error.h"
#include "taut/ai/message.h"

namespace taut::ai {

/// Why an answer ended.
enum class FinishReason : uint8_t {
  stop,            // it was complete, or met a stop string
  length,          // no more tokens were allowed
  tool_calls,      // functions are to be called
  content_filter,  // refused, or cut for what it says
  paused,          // the provider paused: send the message back, and it goes on
  error,
  unknown,  // a reason that came up after this was written, or none
};
TAUT_API std::string_view name(FinishReason reason);

/// Tokens that a call took. What the provider did not tell is not set.
struct Usage {
  std::optional<int64_t> input_total;        // all that was read, cached or not
  std::optional<int64_t> input_cached;       // of these, read from the provider's cache
  std::optional<int64_t> input_cache_write;  // of these, written to it
  std::optional<int64_t> output_total;       // all that was written, reasoning included
  std::optional<int64_t> output_reasoning;   // of these, thoughts
  std::optional<int64_t> total;
  std::optional<double> cost;  // in US dollars, where the provider tells it
  /// Whether the stream ended before the last word on usage: the true numbers are not lower.
  bool partial = false;
};

/// A token of the answer. A probability that the provider does not give is NaN, never 0.
struct TokenLogprob {
  std::string token;  // may hold replacement characters: `bytes` says what it is
  double logprob = std::numeric_limits<double>::quiet_NaN();  // natural logarithm
  std::optional<std::vector<uint8_t>> bytes;
  std::optional<int64_t> token_id;
  struct Other {
    std::string token;
    double logprob = std::numeric_limits<double>::quiet_NaN();
    std::optional<std::vector<uint8_t>> bytes;
    std::optional<int64_t> token_id;
  };
  std::vector<Other> top;
};

/// A source that the answer names.
struct Citation {
  std::string url;
  std::string title;
  std::string date;
  std::string text;  // what it says, where the provider quotes it
};

/// One of the answers that were asked for.
struct Candidate {
  std::vector<Part> parts;  // in the provider's order: what goes back to go on
  std::string refusal;
  FinishReason finish_reason = FinishReason::unknown;
  std::string raw_finish_reason;  // the provider's word
  std::vector<TokenLogprob> logprobs;

  TAUT_API std::string text() const;  // without the reasoning
  TAUT_API std::string reasoning() const;
  TAUT_API std::vector<ToolCall> tool_calls() const;
};

/// A header of the answer, its name in lower case.
using Header = std::pair<std::string, std::string>;

struct RouteReport;

struct ChatResponse {
  std::string id = {};
  std::string model = {};  // that answered, as the provider calls it
  std::string provider = {};
  std::vector<Candidate> candidates = {};  // at least one, unless the call failed
  Usage usage = {};
  std::vector<Citation> citations = {};
  std::optional<double> cost =
      {};  // US dollars: the provider's word, or by the price table; unset: not known
  std::string request_id = {};
  std::vector<std::string> warnings = {};  // what was dropped, learned or repaired on the way
  int attempts = 1;
  double seconds = 0;           // from the first attempt to the end
  double seconds_to_first = 0;  // to the first event of a stream, or to the answer
  bool from_cache = false;
  std::vector<Header> headers = {};
  std::string raw = {};                           // the body as it came; empty for a stream
  std::shared_ptr<const RouteReport> route = {};  // how a router came to it: taut/ai/route_report.h

  const Candidate& first() const { return candidates.front(); }
  std::string text() const { return candidates.empty() ? std::string() : first().text(); }
  std::vector<ToolCall> tool_calls() const {
    return candidates.empty() ? std::vector<ToolCall>() : first().tool_calls();
  }
  FinishReason finish_reason() const {
    return candidates.empty() ? FinishReason::unknown : first().finish_reason;
  }
  /// The answer as the next message of the conversation.
  Message message() const {
    return {Role::assistant, candidates.empty() ? std::vector<Part>() : first().parts};
  }
};

struct EmbeddingResponse {
  std::string model = {};
  std::string provider = {};
  std::vector<std::vector<float>> embeddings = {};  // in the order of the inputs
  Usage usage = {};
  std::optional<double> cost = {};
  std::string request_id = {};
  int attempts = 1;
  double seconds = 0;
  std::vector<Header> headers = {};
};

struct ModelInfo {
  std::string id;
  std::string owner;
  std::optional<int64_t> created;         // seconds since 1970
  std::optional<int64_t> context_length;  // tokens
  std::optional<int64_t> max_output_tokens;
  std::string raw;  // its entry, as JSON text
};

struct BatchStatus {
  enum class State : uint8_t { waiting, running, done, failed, cancelled, expired };
  std::string id = {};
  State state = State::waiting;
  std::string raw_state = {};
  std::optional<int64_t> total = {}, completed = {}, failed = {};
  std::string output = {};  // where the provider keeps the results, for Provider::batch_results
};

/// The answer to one item of a batch: a response or an error.
struct BatchResult {
  std::string id;
  std::optional<ChatResponse> response;
  std::optional<ErrorDetails> error;
};

}  // namespace taut::ai
