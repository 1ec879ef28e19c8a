#pragma once
// The channel behind a ChatStream: one side puts events in, the other takes them out. Safe from
// many threads on either side.
//   auto queue = std::make_shared<StreamQueue>(256);
//   ChatStream stream = StreamQueue::stream(queue);
//   queue->push(std::move(events));
//   queue->close(response, nullptr);
// Who waits for an event finds it where they wait, and is told of it by the runner, not by the
// writer.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "src/ai/event_fifo.h"
#include "taut/ai/backend.h"
#include "taut/base/small_mutex.h"

namespace taut::ai {

/// What a ChatStream takes its events from.
class TAUT_API ChatStream::Source {
 public:
  virtual std::optional<StreamEvent> next() = 0;
  virtual Pending<std::optional<StreamEvent>> next_event() = 0;
  virtual ChatResponse response() const = 0;
  virtual void cancel() = 0;

 protected:
  ~Source() = default;
};

class TAUT_API StreamQueue final : public ChatStream::Source,
                                   public std::enable_shared_from_this<StreamQueue> {
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
  /// What these need: see Note [Fetching chains].
  void fetch(int depth) const;
  /// The end: what is in the queue is still read, and then nothing, or `error` where it is set.
  /// Whether it was not closed before.
  bool close(ChatResponse response, std::exception_ptr error);

  // ---- The reader's side
  std::optional<StreamEvent> next() override;
  Pending<std::optional<StreamEvent>> next_event() override;
  ChatResponse response() const override;
  /// Ends it with ErrorKind::cancelled, unless it has been closed; what waits in it is dropped.
  /// When it returns, nothing begins any more that waited for an event.
  void cancel() override;

 private:
  using Event = std::optional<StreamEvent>;

  bool close(ChatResponse response, std::exception_ptr error, bool drops_events);
  void wake_sleepers() const;
  void wait_with(const Promise<Event>& promise);
  bool begins_delivery();
  void start_delivery(bool is_here);
  void deliver();
  bool prepare();
  void reader_blocks();
  bool take(const Promise<Event>& promise);
  void sleep(std::unique_lock<SmallMutex>& lock);
  int64_t size() const { return static_cast<int64_t>(events_.size()) + (has_prepared_ ? 1 : 0); }
  void count_events() { waiting_events_.store(size(), std::memory_order_relaxed); }
  Callback<void()> made_room();

  // What each event needs stands together, in few lines of the cache.
  mutable SmallMutex mutex_;
  bool is_delivering_ = false;  // somebody will look whether waiting_ can be told
  bool is_blocked_ = false;     // a thread waits for waiting_, perhaps one of the runner's
  bool has_prepared_ = false;   // waiting_ holds the oldest event already
  bool was_full_ = false;
  bool is_closed_ = false;
  const int64_t capacity_;
  EventFifo events_;
  std::atomic<int64_t> waiting_events_{0};  // how many they are
  std::optional<Promise<Event>> waiting_;   // next_event()'s
  std::optional<Promise<Event>> told_;      // the last that is being given its event
  Callback<void(Callback<void()>)> runner_;
  // Made when next_event() is called first.
  Callback<void()> delivery_;           // what the runner runs
  Ref<detail::CompletionHooks> hooks_;  // of what next_event() gives

  int sleepers_ = 0;
  std::unique_ptr<std::condition_variable_any> changed_;  // of the threads in next()
  Boxed<ChatResponse> response_;
  std::exception_ptr error_;
  Callback<ChatResponse()> snapshot_;
  Callback<void()> on_room_;
  Callback<void()> on_cancel_;
  Callback<void(const std::exception_ptr&)> on_close_;
};

/// A complete answer as the events that a stream of it would have sent.
TAUT_API std::vector<StreamEvent> events_of(const ChatResponse& response);

}  // namespace taut::ai
