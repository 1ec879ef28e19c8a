#pragma once
// What is asked of a provider, in words that are the same for all.
//   ChatRequest request{.model = "gpt-5-mini", .messages = {Message::user("Hello")}};
//   request.max_output_tokens = 200;
// A field that is not set is not sent. What a model lacks is an error, or a warning where
// `features` says so; it is never dropped silently.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "taut/ai/message.h"

namespace taut::ai {

/// A function that the model may ask to have called.
struct Tool {
  std::string name = {};  // letters, digits, _ and -
  std::string description = {};
  std::string parameters = {};  // a JSON Schema of an object, as JSON text; empty: no parameters
  bool strict = false;          // arguments must follow the schema
};

struct ToolChoice {
  enum class Kind : uint8_t { automatic, none, required, named };
  Kind kind = Kind::automatic;
  std::string name = {};  // of the function, where it is named
};

/// What the text of the answer has to look like.
struct ResponseFormat {
  enum class Kind : uint8_t { text, json_object, json_schema };
  Kind kind = Kind::text;
  std::string name = "answer";
  std::string schema = {};  // JSON Schema, as JSON text
  bool strict = true;
};

/// What becomes of a request that needs what its model lacks.
enum class FeaturePolicy : uint8_t {
  error,              // an error before anything is sent
  drop_with_warning,  // sent without it, and the response says so in `warnings`
};

struct ChatRequest {
  std::string model = {};
  std::vector<Message> messages = {};

  std::optional<int64_t> max_output_tokens = {};
  std::optional<double> temperature = {};
  std::optional<double> top_p = {};
  std::optional<int64_t> top_k = {};
  std::optional<double> presence_penalty = {};
  std::optional<double> frequency_penalty = {};
  std::optional<int64_t> seed = {};
  std::vector<std::string> stop = {};
  std::optional<std::string> reasoning_effort =
      {};  // none, minimal, low, medium, high ... as the model has it
  std::optional<int64_t> candidates = {};  // answers to draw; 1 where it is not set

  std::optional<ResponseFormat> format = {};
  std::vector<Tool> tools = {};
  std::optional<ToolChoice> tool_choice = {};
  std::optional<bool> parallel_tool_calls = {};

  bool logprobs = false;  // log-probabilities of the answer's tokens
  int top_logprobs = 0;   // and of so many others at each place; -1: all that the server gives

  std::optional<std::string> user =
      {};  // who is asking, for the provider's own records: a pseudonym
  /// More fields of the provider's own body, as the JSON text of an object. They win over what the
  /// fields above make.
  std::string extra = {};
  std::vector<std::pair<std::string, std::string>> headers = {};

  FeaturePolicy features = FeaturePolicy::error;
  std::optional<double> deadline = {};  // seconds for the whole call: attempts, waits and fallbacks
  std::string task = {};                // whose budget pays, and what a report calls it
};

struct EmbeddingRequest {
  std::string model = {};
  std::vector<std::string> inputs = {};  // none of them empty
  std::optional<int64_t> dimensions = {};
  std::string task_type = {};  // what they are for, where the provider asks: RETRIEVAL_QUERY ...
  std::string extra = {};
  std::optional<double> deadline = {};
  std::string task = {};
};

/// Requests that the provider answers within a day, for less money. What a model lacks is always an
/// error here: there is no response yet to carry a warning.
struct BatchRequest {
  struct Item {
    std::string id;  // which answer belongs to it: they come in any order
    ChatRequest request;
  };
  std::vector<Item> items;
};

}  // namespace taut::ai
