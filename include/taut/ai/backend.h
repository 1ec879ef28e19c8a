#pragma once
// Whatever answers a chat: a provider, a router over several, or a function of the caller's own.

#include <memory>
#include <optional>
#include <string>

#include "taut/ai/capability.h"
#include "taut/ai/event.h"
#include "taut/ai/pending.h"
#include "taut/ai/request.h"
#include "taut/ai/response.h"

namespace taut::ai {

/// An answer that arrives piece by piece.
///   while (std::optional<StreamEvent> event = stream.next()) ...
/// The server waits while nobody takes what it sent. Copies are the same stream; when the last one
/// is dropped, it is cancelled. One that was moved from throws ValueError, whatever is asked of it.
class TAUT_API ChatStream {
 public:
  /// The next event, or nothing after the last. Waits for it. Throws what ended the stream instead.
  std::optional<StreamEvent> next() const;
  /// The same, without waiting; one at a time.
  Pending<std::optional<StreamEvent>> next_event() const;
  /// What has arrived so far: the whole answer after the last event. Kept after an error, too.
  ChatResponse response() const;
  void cancel() const;

  class Source;  // what the events come from: for the library alone
  explicit ChatStream(std::shared_ptr<Source> source) : source_(std::move(source)) {}

 private:
  Source& source() const;

  std::shared_ptr<Source> source_;
};

class TAUT_API Backend {
 public:
  virtual ~Backend() = default;
  virtual const std::string& name() const = 0;
  virtual Pending<ChatResponse> chat(const ChatRequest& request) const = 0;
  virtual ChatStream stream(const ChatRequest& request) const = 0;
  virtual Pending<EmbeddingResponse> embed(const EmbeddingRequest& request) const = 0;
  virtual Capabilities capabilities(const std::string& model) const = 0;
  /// Whether it has what it needs to be asked: a provider without its key has not.
  virtual bool is_ready() const { return true; }
};

/// A backend that needs no network: answers come from `answer`, which runs on a thread of its own.
/// What it throws is the call's error.
TAUT_API std::shared_ptr<Backend> local_backend(std::string name,
                                                Callback<ChatResponse(const ChatRequest&)> answer);

}  // namespace taut::ai
