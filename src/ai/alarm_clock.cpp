#include "src/ai/alarm_clock.h"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace taut::ai {
namespace {

using Time = std::chrono::steady_clock::time_point;

Time moment_after(double seconds) {
  // Longer than any call, and within what the clock counts in.
  constexpr double kLongest = 1e8;
  const double bounded = seconds > 0 ? (seconds < kLongest ? seconds : kLongest) : 0;
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(
             std::chrono::duration<double>(bounded));
}

/// What the thread and the clock share: a task may drop the clock, and the thread outlives it then.
struct Alarms {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::pair<Time, uint64_t>, Callback<void()>> tasks;
  std::map<uint64_t, Time> times;
  uint64_t last_number = 0;
  bool is_ending = false;

  void run() {
    std::unique_lock lock(mutex);
    while (!is_ending) {
      if (tasks.empty()) {
        changed.wait(lock);
        continue;
      }
      const auto first = tasks.begin();
      const Time time = first->first.first;
      if (std::chrono::steady_clock::now() < time) {
        changed.wait_until(lock, time);
        continue;
      }
      Callback<void()> task = std::move(first->second);
      times.erase(first->first.second);
      tasks.erase(first);
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }
};

class SystemAlarmClock final : public AlarmClock {
 public:
  ~SystemAlarmClock() override {
    std::map<std::pair<Time, uint64_t>, Callback<void()>> dropped;
    {
      const std::lock_guard lock(alarms_->mutex);
      alarms_->is_ending = true;
      dropped.swap(alarms_->tasks);
      alarms_->changed.notify_all();
    }
    if (!thread_.joinable()) return;
    if (thread_.get_id() == std::this_thread::get_id()) {
      thread_.detach();
    } else {
      thread_.join();
    }
  }

  double now() const override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  uint64_t after(double seconds, Callback<void()> task) override {
    const Time time = moment_after(seconds);
    const std::lock_guard lock(alarms_->mutex);
    if (!thread_.joinable()) {
      thread_ = std::thread([alarms = alarms_] { alarms->run(); });
    }
    const uint64_t number = ++alarms_->last_number;
    alarms_->tasks.emplace(std::pair(time, number), std::move(task));
    alarms_->times.emplace(number, time);
    alarms_->changed.notify_all();
    return number;
  }

  void forget(uint64_t number) override {
    Callback<void()> dropped;  // what it holds is let go of without the lock
    const std::lock_guard lock(alarms_->mutex);
    const auto time = alarms_->times.find(number);
    if (time == alarms_->times.end()) return;
    const auto task = alarms_->tasks.find({time->second, number});
    if (task != alarms_->tasks.end()) {
      dropped = std::move(task->second);
      alarms_->tasks.erase(task);
    }
    alarms_->times.erase(time);
  }

 private:
  std::shared_ptr<Alarms> alarms_ = std::make_shared<Alarms>();
  std::thread thread_;
};

}  // namespace

AlarmClock::~AlarmClock() = default;

std::shared_ptr<AlarmClock> system_alarm_clock() { return std::make_shared<SystemAlarmClock>(); }

}  // namespace taut::ai
