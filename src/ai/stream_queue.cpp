#include "src/ai/stream_queue.h"

#include <utility>

#include "src/ai/executor.h"
#include "taut/ai/error.h"
#include "taut/base/check.h"
#include "taut/base/fetch_memory.h"

namespace taut::ai {

namespace {

/// Cancels when the reader has dropped its last copy: nobody will ever take what comes.
struct Reader {
  const std::shared_ptr<StreamQueue> queue;

  explicit Reader(std::shared_ptr<StreamQueue> read) : queue(std::move(read)) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { queue->cancel(); }
};

std::exception_ptr cancelled_stream(const ChatResponse& response) {
  return std::make_exception_ptr(ProviderError({
      .kind = ErrorKind::cancelled,
      .provider = response.provider,
      .model = response.model,
      .message = "the stream was cancelled",
      .request_id = response.request_id,
      .partial_output = !response.candidates.empty(),
  }));
}

}  // namespace

ChatStream::Source& ChatStream::source() const {
  TAUT_CHECK(source_ != nullptr, ValueError, "ChatStream: it is no stream; got one moved from");
  return *source_;
}

std::optional<StreamEvent> ChatStream::next() const { return source().next(); }
Pending<std::optional<StreamEvent>> ChatStream::next_event() const { return source().next_event(); }
ChatResponse ChatStream::response() const { return source().response(); }
void ChatStream::cancel() const { source().cancel(); }

StreamQueue::StreamQueue(int64_t capacity) : capacity_(capacity < 1 ? 1 : capacity) {}

ChatStream StreamQueue::stream(std::shared_ptr<StreamQueue> queue) {
  const auto reader = std::make_shared<Reader>(std::move(queue));
  return ChatStream(std::shared_ptr<ChatStream::Source>(reader, reader->queue.get()));
}

void StreamQueue::push(std::vector<StreamEvent>&& events) {
  bool begins = false, is_here = false;
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_ || events.empty()) return;
    for (StreamEvent& event : events) {
      if (waiting_ && size() == 0) {
        waiting_->prepare(std::in_place, std::move(event));
        has_prepared_ = true;
      } else {
        events_.push(std::move(event));
      }
    }
    count_events();
    wake_sleepers();
    is_here = is_blocked_;
    begins = begins_delivery();
  }
  if (begins) start_delivery(is_here);
}

bool StreamQueue::is_full() {
  if (waiting_events_.load(std::memory_order_relaxed) < capacity_) return false;
  const std::lock_guard lock(mutex_);
  was_full_ = !is_closed_ && size() >= capacity_;
  return was_full_;
}

void StreamQueue::fetch(int depth) const {
  if (depth == 0) fetch_memory(this, &sleepers_ + 1);
  if (depth != 1) return;
  const std::lock_guard lock(mutex_);
  if (waiting_) waiting_->fetch();
}

bool StreamQueue::close(ChatResponse response, std::exception_ptr error) {
  return close(std::move(response), std::move(error), false);
}

bool StreamQueue::close(ChatResponse response, std::exception_ptr error, bool drops_events) {
  bool begins = false, is_here = drops_events;
  Callback<ChatResponse()> snapshot;  // the hooks hold the writer, which holds the queue
  Callback<void()> on_room, on_cancel;
  Callback<void(const std::exception_ptr&)> on_close;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_closed_, true)) return false;
    if (drops_events) {
      events_.clear();
      has_prepared_ = false;
    }
    count_events();
    if (on_close_) on_close_(error);
    response_ = std::move(response);
    error_ = std::move(error);
    std::swap(snapshot, snapshot_);
    std::swap(on_room, on_room_);
    std::swap(on_cancel, on_cancel_);
    std::swap(on_close, on_close_);
    wake_sleepers();
    is_here = is_here || is_blocked_;
    begins = begins_delivery() || (is_here && waiting_);
  }
  if (begins) start_delivery(is_here);
  return true;
}

/// Called with the lock held.
void StreamQueue::wake_sleepers() const {
  if (sleepers_ > 0) changed_->notify_all();
}

/// Called with the lock held.
void StreamQueue::wait_with(const Promise<Event>& promise) {
  if (!hooks_) {
    const auto when_alive = [this](void (StreamQueue::*act)()) {
      return [queue = weak_from_this(), act] {
        if (const auto alive = queue.lock()) (*alive.*act)();
      };
    };
    delivery_ = when_alive(&StreamQueue::deliver);
    hooks_ = Ref<detail::CompletionHooks>::adopt(new detail::CompletionHooks());
    hooks_->cancel = when_alive(&StreamQueue::cancel);
    hooks_->wait = when_alive(&StreamQueue::reader_blocks);
    hooks_->runner = runner_;
  }
  promise.use(hooks_);
  waiting_ = promise;
}

// ---- Delivery -----------------------------------------------------------------------------------

/// Whether the caller has to start one: there is something for who waits, and nobody sees to it.
/// Called with the lock held.
bool StreamQueue::begins_delivery() {
  if (!waiting_ || (is_delivering_ && !is_blocked_)) return false;
  is_delivering_ = true;
  return true;
}

void StreamQueue::start_delivery(bool is_here) {
  if (is_here || !runner_) {
    deliver();
  } else {
    runner_(delivery_);
  }
}

/// Tells who waits, as long as there is something to tell. What they do may take long, and may wait
/// for events that come after: another delivery can be started meanwhile.
void StreamQueue::deliver() {
  std::optional<Promise<Event>> told;  // whose callbacks have run when it is asked for again
  for (;;) {
    const std::optional<Promise<Event>> last = std::exchange(told, std::nullopt);
    Callback<void()> on_room;
    bool runs_elsewhere = false;
    {
      const std::lock_guard lock(mutex_);
      if (last && told_ == last) told_.reset();
      is_delivering_ = false;
      if (!waiting_ || !prepare()) return;
      on_room = made_room();
      waiting_->claim();  // nobody else sets it: who cancels waits for this one
      told_ = waiting_;
      std::swap(told, waiting_);
      runs_elsewhere = std::exchange(is_blocked_, false);
    }
    if (on_room) on_room();
    told->fulfil();
    if (runs_elsewhere) told.reset();
  }
}

/// Whether there is something for who waits, which then is in its place. Called with the lock held.
bool StreamQueue::prepare() { return std::exchange(has_prepared_, false) || take(*waiting_); }

/// The threads of the runner may all be waiting: from now on the writer tells who waits. Callbacks
/// of the same event are none of its business.
void StreamQueue::reader_blocks() {
  {
    const std::lock_guard lock(mutex_);
    is_blocked_ = waiting_.has_value();
    if (is_blocked_) waiting_->use_runner();
  }
  deliver();
}

/// Prepares what a reader gets now, if anything. Called with the lock held.
bool StreamQueue::take(const Promise<Event>& promise) {
  if (!events_.empty()) {
    promise.prepare(std::in_place, std::move(events_.front()));
    events_.drop();
  } else if (!is_closed_) {
    return false;
  } else if (error_) {
    promise.prepare(error_);
  } else {
    promise.prepare(std::in_place);
  }
  return true;
}

/// An event has been taken: who is to be told of the room, if anybody. Called with the lock held.
Callback<void()> StreamQueue::made_room() {
  count_events();
  if (!was_full_ || size() > capacity_ / 2) return nullptr;
  was_full_ = false;
  return on_room_;
}

std::optional<StreamEvent> StreamQueue::next() {
  Event event;
  Callback<void()> on_room;
  {
    std::unique_lock lock(mutex_);
    if (events_.empty() && !is_closed_) sleep(lock);
    if (events_.empty() && error_) std::rethrow_exception(error_);
    if (!events_.empty()) {
      event = std::move(events_.front());
      events_.drop();
      on_room = made_room();
    }
  }
  if (on_room) on_room();
  return event;
}

/// Until there is something for next().
void StreamQueue::sleep(std::unique_lock<SmallMutex>& lock) {
  TAUT_CHECK(!Executor::runs_here(), ValueError,
             "stream: next() would wait in a callback of a client with callback_threads = 0; "
             "expected next_event()");
  if (!changed_) changed_ = std::make_unique<std::condition_variable_any>();
  ++sleepers_;
  changed_->wait(lock, [this] { return !events_.empty() || is_closed_; });
  --sleepers_;
}

Pending<std::optional<StreamEvent>> StreamQueue::next_event() {
  const Promise<Event> promise;
  bool is_there = false;
  Callback<void()> on_room;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_) {
      throw ValueError(
          "next_event: an event is waited for already; got a second wait; expected one at a time");
    }
    is_there = take(promise);
    if (is_there) {
      on_room = made_room();
    } else {
      wait_with(promise);
    }
  }
  if (is_there) promise.fulfil_unseen();
  if (on_room) on_room();
  return promise.pending();
}

ChatResponse StreamQueue::response() const {
  Callback<ChatResponse()> snapshot;
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_ || !snapshot_) return *response_;
    snapshot = snapshot_;
  }
  return snapshot();
}

void StreamQueue::cancel() {
  Callback<void()> on_cancel;
  std::optional<Promise<Event>> told;
  {
    const std::lock_guard lock(mutex_);
    on_cancel = on_cancel_;
  }
  ChatResponse so_far = response();
  std::exception_ptr error = cancelled_stream(so_far);
  // Where the writer is quicker, its end counts, and all that came before it.
  if (close(std::move(so_far), std::move(error), true) && on_cancel) on_cancel();
  {
    const std::lock_guard lock(mutex_);
    told = told_;
  }
  // One that has been claimed under the lock may not be fulfilled yet: no callback of it may begin
  // later.
  if (told) told->pending().cancel();
}

std::vector<StreamEvent> events_of(const ChatResponse& response) {
  std::vector<StreamEvent> events;
  const auto add = [&events](StreamEvent::Kind kind, int candidate) -> StreamEvent& {
    StreamEvent& event = events.emplace_back();
    event.kind = kind;
    event.candidate = candidate;
    return event;
  };
  int number = 0;
  for (const Candidate& candidate : response.candidates) {
    int calls = 0;
    bool has_logprobs = !candidate.logprobs.empty();
    for (const Part& part : candidate.parts) {
      if (const auto* text = std::get_if<TextPart>(&part)) {
        StreamEvent& event = add(StreamEvent::Kind::text, number);
        event.text = text->text;
        // They belong to all of the text: the first piece carries them.
        if (std::exchange(has_logprobs, false)) event.logprobs = candidate.logprobs;
      } else if (const auto* thought = std::get_if<ReasoningPart>(&part)) {
        add(StreamEvent::Kind::reasoning, number).text = thought->text;
      } else if (const auto* call = std::get_if<ToolCall>(&part)) {
        StreamEvent& event = add(StreamEvent::Kind::tool_call, number);
        event.call_index = calls++;
        event.call = *call;
      }
    }
    if (!candidate.refusal.empty()) {
      add(StreamEvent::Kind::refusal, number).text = candidate.refusal;
    }
    ++number;
  }
  for (const Citation& citation : response.citations) {
    add(StreamEvent::Kind::citation, 0).citation = citation;
  }
  add(StreamEvent::Kind::usage, 0).usage = response.usage;
  for (int i = 0; i < static_cast<int>(response.candidates.size()); ++i) {
    add(StreamEvent::Kind::finish, i).finish_reason =
        response.candidates[static_cast<size_t>(i)].finish_reason;
  }
  return events;
}

}  // namespace taut::ai
