#pragma once
// Carries the events of a stream to the reader of another one, and tells what passes.

#include <exception>
#include <memory>
#include <mutex>
#include <optional>

#include "src/ai/stream_queue.h"

namespace taut::ai {

class TAUT_API StreamRelay : public std::enable_shared_from_this<StreamRelay> {
 public:
  using Event = std::optional<StreamEvent>;
  /// `on_event` sees each event before the reader does. `on_end` is called once for each stream
  /// that was started, with what it came to and the error that ended it, or none: it closes the
  /// queue, or starts another stream.
  StreamRelay(std::shared_ptr<StreamQueue> queue, Callback<void(StreamEvent&)> on_event,
              Callback<void(ChatResponse, std::exception_ptr)> on_end);

  /// Begins to carry. One stream at a time.
  void start(ChatStream inner);
  /// Ends the stream that is being carried; on_end is told.
  void cancel();
  /// The reader has taken events: the queue's on_room.
  void has_room();
  const std::shared_ptr<StreamQueue>& queue() const { return queue_; }

 private:
  void carry();
  bool waits_for_room();
  void deliver(StreamEvent event);
  void end(std::exception_ptr error);

  std::shared_ptr<StreamQueue> queue_;
  Callback<void(StreamEvent&)> on_event_;
  Callback<void(ChatResponse, std::exception_ptr)> on_end_;

  std::mutex mutex_;
  std::optional<ChatStream> inner_;
  std::optional<Outcome<Event>> arrived_;  // while carry() does not look
  bool is_carrying_ = false;               // whether some thread is in carry()
  bool waits_for_room_ = false;
};

/// `inner`, each event and its end seen by the hooks; `on_end` may change the response.
TAUT_API ChatStream tapped(ChatStream inner, Callback<void(StreamEvent&)> on_event,
                           Callback<void(ChatResponse&, std::exception_ptr)> on_end);

/// A stream that is nothing but this error.
TAUT_API ChatStream failed_stream(std::exception_ptr error);
/// A complete answer as a stream.
TAUT_API ChatStream stream_of(ChatResponse response);

}  // namespace taut::ai
