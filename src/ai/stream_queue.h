#pragma once
// The channel behind a ChatStream: one side puts events in, the other takes them out. Safe from
// many threads on either side.
//   auto queue = std::make_shared<StreamQueue>(256);
//   ChatStream stream = StreamQueue::stream(queue);
//   queue->push(std::move(events));
//   queue->close(response, nullptr);
// Who waits for an event is told of it by the runner, which takes it out of the queue: the writer
// touches nothing but the queue.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "taut/ai/backend.h"

namespace taut::ai {

/// What a ChatStream takes its events from. Destroying it cancels.
class TAUT_API ChatStream::Source {
 public:
  virtual ~Source() = default;
  virtual std::optional<StreamEvent> next() { return next_event().get(); }
  virtual Pending<std::optional<StreamEvent>> next_event() = 0;
  virtual ChatResponse response() const = 0;
  virtual void cancel() = 0;
};

class TAUT_API StreamQueue : public std::enable_shared_from_this<StreamQueue> {
 public:
  /// `capacity`: events that wait in it before is_full().
  explicit StreamQueue(int64_t capacity);
  /// The reader's end. When the last copy of it is dropped, the queue is cancelled.
  static ChatStream stream(std::shared_ptr<StreamQueue> queue);

  // ---- Hooks, set before anybody else sees the queue
  /// What is known before the end, for response().
  void set_snapshot(Callback<ChatResponse()> snapshot) { snapshot_ = std::move(snapshot); }
  /// Told when a queue that was full has room again, on the reader's thread.
  void set_on_room(Callback<void()> on_room) { on_room_ = std::move(on_room); }
  /// Told once, when the reader gives up before the end, on the reader's thread.
  void set_on_cancel(Callback<void()> on_cancel) { on_cancel_ = std::move(on_cancel); }
  /// Told once of the end, with its error or null, before anybody sees it. It may not look at the
  /// queue.
  void set_on_close(Callback<void(const std::exception_ptr&)> on_close) {
    on_close_ = std::move(on_close);
  }
  /// Who runs what waits for an event; where it is not set, the thread that puts it in.
  void set_runner(Callback<void(Callback<void()>)> runner) { runner_ = std::move(runner); }

  // ---- The writer's side
  /// Takes the events, but not the memory of the vector. Nothing after close() or cancel().
  void push(std::vector<StreamEvent>&& events);
  bool is_full();  // whether the writer should wait for on_room
  /// The end: what is in the queue is still read, and then nothing, or `error` where it is set.
  /// Whether it was not closed before.
  bool close(ChatResponse response, std::exception_ptr error);

  // ---- The reader's side
  std::optional<StreamEvent> next();
  Pending<std::optional<StreamEvent>> next_event();
  ChatResponse response() const;
  /// Ends it with ErrorKind::cancelled, unless it has been closed; what waits in it is dropped.
  /// When it returns, nothing begins any more that waited for an event.
  void cancel();

 private:
  using Event = std::optional<StreamEvent>;

  bool close(ChatResponse response, std::exception_ptr error, bool drops_events);
  void wait_with(const Promise<Event>& promise);
  bool begins_delivery();
  void start_delivery(bool is_here);
  void deliver();
  void reader_blocks();
  void take(std::optional<Outcome<Event>>& outcome, bool& has_room);
  void count_events() {
    waiting_events_.store(static_cast<int64_t>(events_.size()), std::memory_order_relaxed);
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  const int64_t capacity_;
  std::deque<StreamEvent> events_;
  std::atomic<int64_t> waiting_events_{0};  // how many they are
  std::optional<Promise<Event>> waiting_;   // next_event()'s
  std::optional<Promise<Event>> told_;      // the last that was taken to be given its event
  int sleepers_ = 0;
  bool is_delivering_ = false;  // somebody will look whether waiting_ can be told
  bool is_blocked_ = false;     // a thread waits for waiting_, perhaps one of the runner's
  bool was_full_ = false;
  bool is_closed_ = false;
  ChatResponse response_;
  std::exception_ptr error_;
  Callback<ChatResponse()> snapshot_;
  Callback<void()> on_room_;
  Callback<void()> on_cancel_;
  Callback<void(const std::exception_ptr&)> on_close_;
  Callback<void(Callback<void()>)> runner_;
  // Of what next_event() gives; made when it is called first.
  Callback<void()> canceller_, waiter_;
  Callback<void()> delivery_;  // what the runner runs
};

/// A complete answer as the events that a stream of it would have sent.
TAUT_API std::vector<StreamEvent> events_of(const ChatResponse& response);

}  // namespace taut::ai
