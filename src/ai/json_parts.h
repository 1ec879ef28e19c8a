#pragma once
// The JSON forms of what requests and answers are made of. Included by .cpp files alone.

#include "src/ai/json_form.h"
#include "taut/ai/message.h"
#include "taut/ai/request.h"
#include "taut/ai/response.h"

namespace taut::ai::form {

Json form_of(const Part& part);
Json form_of(const ToolCall& call);
Json form_of(const Message& message);
Json form_of(const ChatRequest& request);
Json form_of(const Usage& usage);
Json form_of(const TokenLogprob& token);
Json form_of(const Citation& citation);
Json form_of(const ChatResponse& response);
Json form_of(const ErrorDetails& details);

Part part_of(const Json& value);
ToolCall tool_call_of(const Json& value);
Message message_of(const Json& value);
ChatRequest chat_request_of(const Json& value);

/// An enumeration's value by the name that `name(value)` gives; the last one is `last`.
template <class E>
Reader& named(Reader& reader, const char* member, E& into, E last) {
  std::string word;
  reader.get(member, word);
  if (word.empty()) return reader;
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (name(static_cast<E>(i)) == word) {
      into = static_cast<E>(i);
      return reader;
    }
  }
  throw ValueError(concat(member, ": unknown word; got '", word, "'"));
}

}  // namespace taut::ai::form
