#include "taut/ai/pending.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "src/ai/executor.h"
#include "taut/base/check.h"

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
  std::atomic<bool> is_claimed = false;
  std::atomic<bool> is_done = false;  // written with the lock held
  bool was_cancelled = false;
  Callback<void()> first;  // that waits: mostly the only one
  std::vector<Callback<void()>> others;
  size_t begun = 0;  // of these
  Running* running = nullptr;
  Callback<void()> canceller;
  Callback<void()> waiter;
  Callback<void(Callback<void()>)> runner;

  /// Tells who may want to know that this thread is about to wait. What makes it done may not be
  /// left to the thread itself.
  void announce_wait() {
    Callback<void()> told;
    {
      const std::lock_guard lock(mutex);
      if (is_done) return;
      told = waiter;
    }
    if (told) told();
    TAUT_CHECK(
        is_done || !Executor::runs_here(), ValueError,
        "pending: a client's own thread would wait for what it has to bring itself; got a wait "
        "in a callback of a client with callback_threads = 0; expected then() or co_await");
  }

  // These two are called with the lock held.
  bool has_waiting() const { return static_cast<bool>(first) || begun < others.size(); }
  void add_waiting(Callback<void()> next) {
    if (has_waiting()) {
      others.push_back(std::move(next));
    } else {
      first = std::move(next);
    }
  }

  void run_waiting() {
    std::unique_lock lock(mutex);
    while (has_waiting()) {
      Callback<void()> next = std::move(first ? first : others[begun++]);
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

bool Completion::is_done() const { return state_->is_done.load(); }

void Completion::wait() const {
  state_->announce_wait();
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->is_done.load(); });
}

bool Completion::wait_for(double seconds) const {
  constexpr double kForever = 1e9;  // beyond what the clock counts in
  if (!(seconds <= 0)) state_->announce_wait();
  std::unique_lock lock(state_->mutex);
  if (!(seconds < kForever)) {
    state_->changed.wait(lock, [this] { return state_->is_done.load(); });
    return true;
  }
  return state_->changed.wait_for(lock, std::chrono::duration<double>(seconds),
                                  [this] { return state_->is_done.load(); });
}

void Completion::on_done(Callback<void()> next) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->is_done) {
      state_->add_waiting(std::move(next));
      return;
    }
  }
  next();
}

bool Completion::claim() { return !state_->is_claimed.exchange(true); }

void Completion::set_done() {
  const std::shared_ptr<State> state = state_;  // the callbacks may drop the last Pending
  Callback<void()> canceller, waiter;
  Callback<void(Callback<void()>)> runner;
  bool has_waiting = false;
  {
    const std::lock_guard lock(state->mutex);
    state->is_done = true;
    std::swap(canceller, state->canceller);
    std::swap(waiter, state->waiter);
    std::swap(runner, state->runner);
    has_waiting = state->has_waiting();
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

void Completion::set_waiter(Callback<void()> wait) { state_->waiter = std::move(wait); }

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
  state->changed.wait(lock, [&state] { return state->is_done.load(); });
  lock.unlock();
  state->run_waiting();
  lock.lock();
  state->changed.wait(lock, [&state] { return !state->runs_elsewhere(); });
}

}  // namespace taut::ai::detail
