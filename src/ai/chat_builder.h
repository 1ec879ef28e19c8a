#pragma once
// Chat requests as they are sent, and as they are changed when a model refuses a part of one.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/ai/operation.h"

namespace taut::ai {

/// A call of an operation, as all of them begin.
CallRequest call_of(const OperationBase& operation, HttpRequest http);

/// What a request takes: about four bytes of text make a token.
double estimated_tokens(const HttpRequest& http, int64_t output);

class ChatBuilder : public std::enable_shared_from_this<ChatBuilder> {
 public:
  ChatBuilder(std::shared_ptr<Provider::State> provider, ChatRequest request, bool is_stream);

  CallRequest call(const OperationBase& operation);
  /// What was left out of the request, and what was learned of its model.
  std::vector<std::string> warnings() const;

 private:
  HttpRequest build();
  std::optional<HttpRequest> rebuild(const ErrorDetails& refusal);
  bool is_silent_at_first() const;

  const std::shared_ptr<Provider::State> provider_;
  const ChatRequest request_;
  const bool is_stream_;
  std::vector<std::string> warnings_, learned_;
};

}  // namespace taut::ai
