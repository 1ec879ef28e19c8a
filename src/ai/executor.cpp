#include "src/ai/executor.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "src/ai/steady_time.h"

namespace taut::ai {

namespace {

// Seconds between two times that threads are woken for tasks which may wait. To wake a thread costs
// more than an event of a stream does, and nobody reads faster.
constexpr double kMoment = 0.001;
constexpr double kNothingLeft = std::numeric_limits<double>::infinity();

thread_local bool is_running_here = false;

}  // namespace

struct Executor::State : std::enable_shared_from_this<Executor::State> {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Callback<void()>> tasks;
  std::vector<std::thread> threads;
  int limit = 1;
  int idle = 0;
  bool is_closed = false;

  std::atomic<std::thread::id> holder;  // whose tasks are kept back
  // By it alone.
  std::vector<Callback<void()>> held;
  bool is_urgent = false;

  bool is_held() const { return holder.load() == std::this_thread::get_id(); }

  void add(std::span<Callback<void()>> more);
  void serve() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      changed.wait(lock, [this] { return is_closed || !tasks.empty(); });
      --idle;
      if (tasks.empty()) return;
      Callback<void()> task = std::move(tasks.front());
      tasks.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what it holds is let go of without the lock
      lock.lock();
    }
  }
};

void Executor::State::add(std::span<Callback<void()>> more) {
  if (limit > 0) {
    const std::lock_guard lock(mutex);
    if (!is_closed) {
      for (Callback<void()>& task : more) tasks.push_back(std::move(task));
      for (int missing = static_cast<int>(tasks.size()) - idle;
           missing > 0 && static_cast<int>(threads.size()) < limit; --missing) {
        threads.emplace_back([state = shared_from_this()] { state->serve(); });
      }
      more.size() == 1 ? changed.notify_one() : changed.notify_all();
      return;
    }
  }
  for (const Callback<void()>& task : more) task();
}

Executor::Executor(int threads) : state_(std::make_shared<State>()) { state_->limit = threads; }

Executor::~Executor() { close(); }

void Executor::run(Callback<void()> task) const {
  if (state_->is_held()) state_->is_urgent = true;
  run_soon(std::move(task));
}

void Executor::run_soon(Callback<void()> task) const {
  if (state_->is_held()) {
    state_->held.push_back(std::move(task));
  } else {
    state_->add({&task, 1});
  }
}

void Executor::close() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(state_->mutex);
    state_->is_closed = true;
    threads.swap(state_->threads);
    state_->changed.notify_all();
  }
  for (std::thread& thread : threads) {
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

Executor::Holding::Holding(const Executor& executor) : state_(executor.state_) {
  state_->holder = std::this_thread::get_id();
}

Executor::Holding::~Holding() {
  state_->holder = std::thread::id();
  pass_on_all();
}

bool Executor::runs_here() { return is_running_here; }

double Executor::Holding::pass_on() {
  if (state_->held.empty()) return kNothingLeft;
  if (state_->limit == 0) return run_all();
  const double now = steady_time();
  const double left = passed_on_at_ + kMoment - now;
  if (left > 0 && !state_->is_urgent) return left;
  passed_on_at_ = now;
  pass_on_all();
  return kNothingLeft;
}

/// Those that come meanwhile have to wait for what else the thread does.
double Executor::Holding::run_all() {
  std::vector<Callback<void()>> tasks;
  tasks.swap(state_->held);
  is_running_here = true;
  for (Callback<void()>& task : tasks) {
    task();
    task = nullptr;
  }
  is_running_here = false;
  tasks.clear();
  if (!state_->held.empty()) return 0;
  tasks.swap(state_->held);  // its memory
  return kNothingLeft;
}

void Executor::Holding::pass_on_all() {
  state_->is_urgent = false;
  state_->add(state_->held);
  state_->held.clear();
}

}  // namespace taut::ai
