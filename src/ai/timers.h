#pragma once
// What is to be done at a certain time. Used by one thread.

#include <cstdint>
#include <map>
#include <utility>

#include "taut/base/callback.h"

namespace taut::ai {

/// Names a timer; never used again.
struct TimerId {
  double when = 0;
  uint64_t number = 0;  // 0: none

  explicit operator bool() const { return number != 0; }
  auto operator<=>(const TimerId&) const = default;  // NOLINT(modernize-use-nullptr): none there
};

class Timers {
 public:
  /// `when` on the clock whose time run_due() is given.
  TimerId set(double when, Callback<void()> task) {
    const TimerId id{when, ++last_};
    tasks_.emplace(id, std::move(task));
    return id;
  }
  /// Nothing where it has run, or is none.
  void cancel(TimerId& id) {
    if (id) tasks_.erase(id);
    id = {};
  }
  void run_due(double now) {
    while (!tasks_.empty() && tasks_.begin()->first.when <= now) {
      const Callback<void()> task = std::move(tasks_.begin()->second);
      tasks_.erase(tasks_.begin());
      task();
    }
  }
  bool empty() const { return tasks_.empty(); }
  double next() const { return tasks_.begin()->first.when; }
  void clear() { tasks_.clear(); }

 private:
  std::map<TimerId, Callback<void()>> tasks_;
  uint64_t last_ = 0;
};

}  // namespace taut::ai
