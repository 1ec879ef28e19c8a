#include "taut/ai/pending.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace taut::ai::detail {

// Callbacks wait in a queue and are taken out of it one at a time, each under the lock. Whoever
// makes the call done takes them; who cancels takes what is left, so that nothing begins
// afterwards.
struct Completion::State : std::enable_shared_from_this<Completion::State> {
  /// A callback that runs. It stands on the stack of its thread.
  struct Running {
    std::thread::id thread;
    Running* next;
  };

  std::mutex mutex;
  std::condition_variable changed;
  bool is_claimed = false;
  bool is_done = false;
  bool was_cancelled = false;
  std::vector<Callback<void()>> waiting;
  size_t begun = 0;  // of those that wait
  Running* running = nullptr;
  Callback<void()> canceller;
  Callback<void(Callback<void()>)> runner;

  void run_waiting() {
    std::unique_lock lock(mutex);
    while (begun < waiting.size()) {
      Callback<void()> next = std::move(waiting[begun++]);
      Running self{std::this_thread::get_id(), running};
      running = &self;
      lock.unlock();
      next();
      next = nullptr;  // what it holds is let go of without the lock
      lock.lock();
      Running** link = &running;
      while (*link != &self) link = &(*link)->next;
      *link = self.next;
      changed.notify_all();
    }
  }

  /// Called with the lock held.
  bool runs_elsewhere() const {
    for (const Running* one = running; one != nullptr; one = one->next) {
      if (one->thread != std::this_thread::get_id()) return true;
    }
    return false;
  }
};

Completion::Completion() : state_(std::make_shared<State>()) {}
Completion::~Completion() = default;

bool Completion::is_done() const {
  const std::lock_guard lock(state_->mutex);
  return state_->is_done;
}

void Completion::wait() const {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->is_done; });
}

bool Completion::wait_for(double seconds) const {
  constexpr double kForever = 1e9;  // beyond what the clock counts in
  std::unique_lock lock(state_->mutex);
  if (!(seconds < kForever)) {
    state_->changed.wait(lock, [this] { return state_->is_done; });
    return true;
  }
  return state_->changed.wait_for(lock, std::chrono::duration<double>(seconds),
                                  [this] { return state_->is_done; });
}

void Completion::on_done(Callback<void()> next) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->is_done) {
      state_->waiting.push_back(std::move(next));
      return;
    }
  }
  next();
}

bool Completion::claim() {
  const std::lock_guard lock(state_->mutex);
  return !std::exchange(state_->is_claimed, true);
}

void Completion::set_done() {
  const std::shared_ptr<State> state = state_;  // the callbacks may drop the last Pending
  Callback<void()> canceller;
  Callback<void(Callback<void()>)> runner;
  bool has_waiting = false;
  {
    const std::lock_guard lock(state->mutex);
    state->is_done = true;
    canceller = std::move(state->canceller);
    state->canceller = nullptr;
    runner = std::move(state->runner);
    state->runner = nullptr;
    has_waiting = state->begun < state->waiting.size();
    state->changed.notify_all();
  }
  if (!has_waiting) return;
  if (runner) {
    runner([state] { state->run_waiting(); });
  } else {
    state->run_waiting();
  }
}

void Completion::set_runner(Callback<void(Callback<void()>)> runner) {
  const std::lock_guard lock(state_->mutex);
  state_->runner = std::move(runner);
}

void Completion::set_canceller(Callback<void()> cancel) {
  const std::lock_guard lock(state_->mutex);
  if (!state_->is_done) state_->canceller = std::move(cancel);
}

void Completion::cancel() {
  const std::shared_ptr<State> state = state_;
  Callback<void()> canceller;
  {
    const std::lock_guard lock(state->mutex);
    if (!std::exchange(state->was_cancelled, true)) canceller = state->canceller;
  }
  if (canceller) canceller();
  std::unique_lock lock(state->mutex);
  if (!state->is_claimed) return;  // nobody who can end it was told: it goes on
  // Who has claimed it is about to make it done.
  state->changed.wait(lock, [&state] { return state->is_done; });
  lock.unlock();
  state->run_waiting();
  lock.lock();
  state->changed.wait(lock, [&state] { return !state->runs_elsewhere(); });
}

}  // namespace taut::ai::detail
