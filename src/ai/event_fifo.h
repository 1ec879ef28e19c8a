#pragma once
// The events of a stream that wait to be read, in one piece of memory that the next ones take.

#include <cstddef>
#include <utility>
#include <vector>

#include "taut/ai/event.h"

namespace taut::ai {

class EventFifo {
 public:
  bool empty() const { return size() == 0; }
  size_t size() const { return events_.size() - taken_; }

  void push(StreamEvent&& event) {
    // Where half of the memory is free there is no need for more.
    if (events_.size() == events_.capacity() && 2 * taken_ >= events_.size()) drop_taken();
    events_.push_back(std::move(event));
  }
  /// The oldest, to be taken and then dropped; there has to be one.
  StreamEvent& front() { return events_[taken_]; }
  void drop() {
    ++taken_;
    if (empty()) clear();
  }
  /// Keeps the memory of a few.
  void clear() {
    if (events_.capacity() > kMostKept) {
      std::vector<StreamEvent>().swap(events_);
    } else {
      events_.clear();
    }
    taken_ = 0;
  }

 private:
  static constexpr size_t kMostKept = 16;

  void drop_taken() {
    events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
  }

  std::vector<StreamEvent> events_;
  size_t taken_ = 0;  // of its front
};

}  // namespace taut::ai
