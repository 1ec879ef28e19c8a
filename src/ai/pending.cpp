#include "taut/ai/pending.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "src/ai/executor.h"
#include "taut/base/check.h"

namespace taut::ai::detail {

void refuse_misuse(const char* message) { throw ValueError(message); }

// Who waits stands in a list and is taken out of it one at a time, each under the lock. Whoever
// makes the call done takes them; who cancels takes what is left, so that nothing begins
// afterwards.

/// A waiter that runs. It stands on the stack of its thread.
struct Completion::Running {
  std::thread::id thread;
  Running* next;
};

struct Completion::Bell {
  std::condition_variable_any rung;
};

Completion::Completion() = default;

Completion::~Completion() {
  while (Waiter* waiter = first_) {
    first_ = waiter->next_;
    waiter->drop();
  }
}

// ---- Sleeping -----------------------------------------------------------------------------------

/// Tells who may want to know that this thread is about to wait. What makes it done may not be left
/// to the thread itself.
void Completion::announce_wait() {
  Callback<void()> told;
  {
    const std::lock_guard lock(mutex_);
    if (is_done()) return;
    if (hooks_) told = hooks_->wait;
  }
  if (told) told();
  TAUT_CHECK(
      is_done() || !Executor::runs_here(), ValueError,
      "pending: a client's own thread would wait for what it has to bring itself; got a wait "
      "in a callback of a client with callback_threads = 0; expected then() or co_await");
}

/// Most are never slept on. Called with the lock held.
Completion::Bell& Completion::bell() {
  if (!bell_) bell_ = std::make_unique<Bell>();
  return *bell_;
}

/// Called with the lock held.
void Completion::ring() const {
  if (bell_) bell_->rung.notify_all();
}

void Completion::wait() {
  announce_wait();
  std::unique_lock lock(mutex_);
  if (!is_done()) bell().rung.wait(lock, [this] { return is_done(); });
}

bool Completion::wait_for(double seconds) {
  constexpr double kForever = 1e9;  // beyond what the clock counts in
  if (!(seconds <= 0)) announce_wait();
  std::unique_lock lock(mutex_);
  if (is_done()) return true;
  if (!(seconds < kForever)) {
    bell().rung.wait(lock, [this] { return is_done(); });
    return true;
  }
  return bell().rung.wait_for(lock, std::chrono::duration<double>(seconds),
                              [this] { return is_done(); });
}

// ---- Who goes on --------------------------------------------------------------------------------

bool Completion::add(Waiter& waiter) {
  const std::lock_guard lock(mutex_);
  if (is_done()) return false;
  (first_ == nullptr ? first_ : last_->next_) = &waiter;
  last_ = &waiter;
  return true;
}

void Completion::set_done() {
  const auto self = Ref<Completion>::share(this);  // what waits may drop the last Pending
  Ref<CompletionHooks> hooks;
  bool uses_runner = false;
  {
    const std::lock_guard lock(mutex_);
    is_done_.store(true, std::memory_order_release);
    hooks.swap(hooks_);
    ring();
    if (first_ == nullptr) return;
    uses_runner = uses_runner_ && hooks && hooks->runner;
  }
  if (uses_runner) {
    hooks->runner([self] { self->run_waiting(); });
  } else {
    run_waiting();
  }
}

void Completion::run_waiting() noexcept {
  std::unique_lock lock(mutex_);
  while (Waiter* waiter = first_) {
    first_ = waiter->next_;
    Running self{std::this_thread::get_id(), running_};
    running_ = &self;
    lock.unlock();
    waiter->run(*this);
    lock.lock();
    Running** link = &running_;
    while (*link != &self) link = &(*link)->next;
    *link = self.next;
    ring();
  }
}

/// Called with the lock held.
bool Completion::runs_elsewhere() const {
  for (const Running* one = running_; one != nullptr; one = one->next) {
    if (one->thread != std::this_thread::get_id()) return true;
  }
  return false;
}

// ---- Hooks --------------------------------------------------------------------------------------

/// Called with the lock held.
CompletionHooks& Completion::own_hooks() {
  if (!hooks_) hooks_ = Ref<CompletionHooks>::adopt(new CompletionHooks());
  return *hooks_;
}

void Completion::set_hooks(Ref<CompletionHooks> hooks) {
  const std::lock_guard lock(mutex_);
  if (!is_done()) hooks_.swap(hooks);
}

void Completion::set_canceller(Callback<void()> cancel) {
  const std::lock_guard lock(mutex_);
  if (!is_done()) own_hooks().cancel = std::move(cancel);
}

void Completion::set_runner(Callback<void(Callback<void()>)> runner) {
  const std::lock_guard lock(mutex_);
  if (is_done()) return;
  own_hooks().runner = std::move(runner);
  uses_runner_ = true;
}

void Completion::use_runner() {
  const std::lock_guard lock(mutex_);
  uses_runner_ = true;
}

void Completion::cancel() {
  const auto self = Ref<Completion>::share(this);
  Callback<void()> told;
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(was_cancelled_, true) && hooks_) told = hooks_->cancel;
  }
  if (told) told();
  std::unique_lock lock(mutex_);
  if (!is_claimed_) return;  // nobody who can end it was told: it goes on
  // Who has claimed it is about to make it done.
  if (!is_done()) bell().rung.wait(lock, [this] { return is_done(); });
  lock.unlock();
  run_waiting();
  lock.lock();
  if (runs_elsewhere()) bell().rung.wait(lock, [this] { return !runs_elsewhere(); });
}

}  // namespace taut::ai::detail
