#include "src/ai/stream_relay.h"

#include <utility>

namespace taut::ai {
namespace {

// Few: the reader's pace is meant to reach the server.
constexpr int64_t kWaitingEvents = 16;
// All of it is there at once.
constexpr int64_t kNoLimit = int64_t{1} << 40;

}  // namespace

StreamRelay::StreamRelay(std::shared_ptr<StreamQueue> queue, Callback<void(StreamEvent&)> on_event,
                         Callback<void(ChatResponse, std::exception_ptr)> on_end)
    : queue_(std::move(queue)), on_event_(std::move(on_event)), on_end_(std::move(on_end)) {}

void StreamRelay::start(ChatStream inner) {
  {
    const std::lock_guard lock(mutex_);
    inner_ = std::move(inner);
    waits_for_room_ = false;
    arrived_.reset();
    if (is_carrying_) return;  // the loop below us goes on with it
    is_carrying_ = true;
  }
  carry();
}

/// Takes events as long as they are there. Callbacks that run at once only leave what arrived: the
/// stack does not grow with the number of events.
void StreamRelay::carry() {
  const std::shared_ptr<StreamRelay> self = shared_from_this();
  for (;;) {
    std::optional<Outcome<Event>> arrived;
    std::optional<ChatStream> inner;
    {
      const std::lock_guard lock(mutex_);
      arrived = std::exchange(arrived_, std::nullopt);
      inner = inner_;
      if (!inner) {
        is_carrying_ = false;
        return;
      }
    }
    if (arrived) {
      if (!arrived->has_value()) {
        end(arrived->error());
      } else if (!arrived->value()) {
        end(nullptr);
      } else {
        deliver(std::move(*arrived->value()));
      }
      continue;
    }
    if (waits_for_room()) return;
    inner->next_event().then([self](Outcome<Event> outcome) {
      {
        const std::lock_guard lock(self->mutex_);
        self->arrived_ = std::move(outcome);
        if (std::exchange(self->is_carrying_, true)) return;
      }
      self->carry();
    });
    const std::lock_guard lock(mutex_);
    if (!arrived_) {
      is_carrying_ = false;
      return;
    }
  }
}

/// Whether has_room() goes on from here.
bool StreamRelay::waits_for_room() {
  if (!queue_->is_full()) return false;
  {
    const std::lock_guard lock(mutex_);
    waits_for_room_ = true;
    is_carrying_ = false;
  }
  // Room that came before this was said was told to nobody.
  if (queue_->is_full()) return true;
  const std::lock_guard lock(mutex_);
  if (!waits_for_room_) return true;
  waits_for_room_ = false;
  is_carrying_ = true;
  return false;
}

void StreamRelay::has_room() {
  {
    const std::lock_guard lock(mutex_);
    if (!waits_for_room_ || is_carrying_) return;
    waits_for_room_ = false;
    is_carrying_ = true;
  }
  carry();
}

void StreamRelay::deliver(StreamEvent event) {
  if (on_event_) on_event_(event);
  std::vector<StreamEvent> events;
  events.push_back(std::move(event));
  queue_->push(std::move(events));
}

void StreamRelay::end(std::exception_ptr error) {
  std::optional<ChatStream> inner;
  {
    const std::lock_guard lock(mutex_);
    inner = std::exchange(inner_, std::nullopt);
  }
  on_end_(inner->response(), std::move(error));
}

void StreamRelay::cancel() {
  std::optional<ChatStream> inner;
  bool carries_on = false;
  {
    const std::lock_guard lock(mutex_);
    inner = inner_;
    if (waits_for_room_ && !is_carrying_) {
      waits_for_room_ = false;
      is_carrying_ = true;
      carries_on = true;
    }
  }
  if (inner) inner->cancel();
  // Nobody reads any more, so it is never full: the end is found at once.
  if (carries_on) carry();
}

ChatStream tapped(ChatStream inner, Callback<void(StreamEvent&)> on_event,
                  Callback<void(ChatResponse&, std::exception_ptr)> on_end) {
  auto queue = std::make_shared<StreamQueue>(kWaitingEvents);
  auto relay = std::make_shared<StreamRelay>(
      queue, std::move(on_event),
      [queue, on_end = std::move(on_end)](ChatResponse response, std::exception_ptr error) {
        if (on_end) on_end(response, error);
        queue->close(std::move(response), std::move(error));
      });
  queue->set_snapshot([inner] { return inner.response(); });
  queue->set_on_cancel([relay] { relay->cancel(); });
  queue->set_on_room([relay] { relay->has_room(); });
  ChatStream stream = StreamQueue::stream(queue);
  relay->start(std::move(inner));
  return stream;
}

ChatStream failed_stream(std::exception_ptr error) {
  auto queue = std::make_shared<StreamQueue>(kNoLimit);
  queue->close({}, std::move(error));
  return StreamQueue::stream(std::move(queue));
}

ChatStream stream_of(ChatResponse response) {
  auto queue = std::make_shared<StreamQueue>(kNoLimit);
  queue->push(events_of(response));
  queue->close(std::move(response), nullptr);
  return StreamQueue::stream(std::move(queue));
}

}  // namespace taut::ai
