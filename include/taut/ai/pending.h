#pragma once
// The result of a call that goes on in the background.
//   Pending<ChatResponse> call = provider.chat(request);
//   ChatResponse response = call.get();                          // wait for it,
//   call.then([](Outcome<ChatResponse> outcome) { ... });        // be told,
//   ChatResponse response = co_await provider.chat(request);     // or go on when it is there

#include <atomic>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "taut/base/callback.h"
#include "taut/base/fetch_memory.h"
#include "taut/base/macros.h"
#include "taut/base/ref.h"
#include "taut/base/small_mutex.h"

namespace taut::ai {

namespace detail {

/// Throws ValueError.
[[noreturn]] TAUT_API void refuse_misuse(const char* message);

}  // namespace detail

/// A result or the error that came instead.
template <class T>
class Outcome {
 public:
  Outcome(const T& value) : value_(value) {}
  Outcome(T&& value) : value_(std::move(value)) {}
  /// Throws ValueError where there is no error either.
  Outcome(std::exception_ptr error) : error_(std::move(error)) {
    if (!error_) detail::refuse_misuse("Outcome: it has no value and no error; got a null one");
  }
  /// Makes the result in its place.
  template <class... Args>
  explicit Outcome(std::in_place_t, Args&&... args)
      : value_(std::in_place, std::forward<Args>(args)...) {}

  bool has_value() const { return value_.has_value(); }
  const std::exception_ptr& error() const { return error_; }
  /// Throws the error where there is one.
  T& value() & {
    if (error_) std::rethrow_exception(error_);
    return *value_;
  }
  T value() && {
    if (error_) std::rethrow_exception(error_);
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
  std::exception_ptr error_;
};

namespace detail {

class Completion;

/// Who goes on when something is done: a link in the list of those that wait for it.
class TAUT_API Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  /// Called once at most. It may end the waiter.
  virtual void run(Completion& done) = 0;
  /// Called instead, where it never will be done.
  virtual void drop() noexcept = 0;

 protected:
  ~Waiter() = default;

 private:
  friend class Completion;
  Waiter* next_ = nullptr;
};

/// What a Completion calls. Several may share them.
struct CompletionHooks final : RefCounted {
  Callback<void()> cancel;                  // what cancel() calls, once at most
  Callback<void()> wait;                    // what a thread calls before it waits
  Callback<void(Callback<void()>)> runner;  // who runs what waits

  void destroy() noexcept { delete this; }
};

/// Whether something is done, and who wants to know: the part of a Pending that has no type. Hooks
/// are called as long as it is not done; they may make it done.
class TAUT_API Completion : public RefCounted {
 public:
  virtual void destroy() noexcept = 0;

  bool is_done() const { return is_done_.load(std::memory_order_acquire); }
  void wait();
  bool wait_for(double seconds);
  /// The waiter runs once: when it is done, on the thread that does it. False where it is done: it
  /// does not run. What it throws ends the program, as what a thread throws.
  bool add(Waiter& waiter);
  /// True for the first who asks, and for nobody after: who may make it done, and has to.
  bool claim() { return !is_claimed_.exchange(true); }
  void set_done();
  /// claim() and set_done() before anybody else sees it: nothing waits.
  void begin_done() {
    is_claimed_.store(true, std::memory_order_relaxed);
    is_done_.store(true, std::memory_order_relaxed);
  }

  /// Takes the place of all hooks, which others may share: none is set by itself afterwards.
  void set_hooks(Ref<CompletionHooks> hooks);
  void set_canceller(Callback<void()> cancel);
  /// From now on the runner of the hooks runs what waits, not the thread that makes it done.
  void use_runner();
  /// The same, with this runner. Set before anybody else sees it.
  void set_runner(Callback<void(Callback<void()>)> runner);
  /// When it returns, no callback begins that has not begun: one that another thread is running is
  /// waited for. May be called from inside a callback.
  void cancel();

 protected:
  Completion();
  ~Completion();

 private:
  struct Running;
  struct Bell;

  void announce_wait();
  Bell& bell();
  void ring() const;
  CompletionHooks& own_hooks();
  void run_waiting() noexcept;
  bool runs_elsewhere() const;

  SmallMutex mutex_;  // of all that is not atomic
  std::atomic<bool> is_claimed_{false};
  std::atomic<bool> is_done_{false};  // written with the lock held
  bool was_cancelled_ = false;
  bool uses_runner_ = false;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
  Running* running_ = nullptr;
  Ref<CompletionHooks> hooks_;
  std::unique_ptr<Bell> bell_;  // of the threads that sleep until something changes
};

template <class T>
struct PendingState final : Completion {
  std::optional<Outcome<T>> outcome;  // written before it is done

  void destroy() noexcept override { delete this; }
};

/// Calls a function, and is gone.
template <class T>
class Caller final : public Waiter {
 public:
  explicit Caller(Callback<void(Outcome<T>)> next) : next_(std::move(next)) {}

  void run(Completion& done) override {
    const std::unique_ptr<Caller> self(this);
    next_(*static_cast<PendingState<T>&>(done).outcome);
  }
  void drop() noexcept override { delete this; }

 private:
  Callback<void(Outcome<T>)> next_;
};

/// Goes on with a coroutine, in whose frame it stands.
template <class T>
class Awaiter final : public Waiter {
 public:
  explicit Awaiter(Ref<PendingState<T>> state) : state_(std::move(state)) {}

  bool await_ready() const { return state_->is_done(); }
  /// Where it is done by now the coroutine goes on at once.
  bool await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    return state_->add(*this);
  }
  T await_resume() const {
    // Nobody else will ask for it.
    if (state_->use_count() == 1) return std::move(*state_->outcome).value();
    return state_->outcome->value();
  }

  void run(Completion&) override { waiting_.resume(); }
  void drop() noexcept override {}

 private:
  Ref<PendingState<T>> state_;
  std::coroutine_handle<> waiting_;
};

}  // namespace detail

/// Copies speak of the same call. Dropping all of them does not cancel it. One that is made by
/// default, or was moved from, is of no call: all but valid() throws ValueError.
template <class T>
class Pending {
 public:
  Pending() = default;
  explicit Pending(Ref<detail::PendingState<T>> state) : state_(std::move(state)) {}

  /// Whether it is of a call.
  bool valid() const { return static_cast<bool>(state_); }
  bool is_done() const { return state().is_done(); }
  /// Whether it is done within so many seconds.
  bool wait_for(double seconds) const { return state().wait_for(seconds); }
  /// Waits; gives a copy of the result or throws the error.
  T get() const {
    state().wait();
    return state().outcome->value();
  }
  /// The call ends with ErrorKind::cancelled, unless it is done by then. When this returns, no
  /// callback begins that has not begun; one that runs on another thread has ended.
  void cancel() const { state().cancel(); }
  /// Told once, on a thread of the client, or on this one where the call is done. Throws ValueError
  /// where there is nobody to tell.
  void then(Callback<void(Outcome<T>)> next) const {
    if (!next) detail::refuse_misuse("Pending: there is nobody to tell; got no function");
    if (!state().is_done()) {
      auto caller = std::make_unique<detail::Caller<T>>(next);
      if (state().add(*caller)) {
        static_cast<void>(caller.release());
        return;
      }
    }
    next(*state().outcome);
  }

  auto operator co_await() const {
    static_cast<void>(state());
    return detail::Awaiter<T>(state_);
  }

 private:
  detail::PendingState<T>& state() const {
    if (!state_) {
      detail::refuse_misuse("Pending: it is of no call; got one made by default or moved from");
    }
    return *state_;
  }

  Ref<detail::PendingState<T>> state_;
};

/// The other end of a Pending: the first outcome that is set is the one that counts. Copies are the
/// same promise; moving copies, too, so that none is ever empty.
template <class T>
class Promise {
 public:
  Promise() : state_(Ref<detail::PendingState<T>>::adopt(new detail::PendingState<T>())) {}
  Promise(const Promise&) = default;
  Promise& operator=(const Promise&) = default;
  Pending<T> pending() const { return Pending<T>(state_); }
  /// Whether this outcome was the first.
  bool set(Outcome<T> outcome) const {
    if (!claim()) return false;
    fulfil(std::move(outcome));
    return true;
  }
  /// set() in two steps: the caller of claim() has to fulfil it where that is true, and who cancels
  /// waits for it.
  bool claim() const { return state_->claim(); }
  void fulfil(Outcome<T>&& outcome) const {
    prepare(std::move(outcome));
    fulfil();
  }
  /// What the outcome that fulfil() will give is made of, unless another is prepared. By one thread
  /// at a time.
  template <class... Args>
  void prepare(Args&&... args) const {
    state_->outcome.emplace(std::forward<Args>(args)...);
  }
  void fulfil() const { state_->set_done(); }
  /// claim() and fulfil() of one that nobody else has seen.
  void fulfil_unseen() const { state_->begin_done(); }
  /// Begins to bring into the cache what prepare() and fulfil() need.
  void fetch() const { fetch_memory(&*state_, &*state_ + 1); }
  bool is_done() const { return state_->is_done(); }
  void on_thread_of(Callback<void(Callback<void()>)> runner) const {
    state_->set_runner(std::move(runner));
  }
  void on_cancel(Callback<void()> cancel) const { state_->set_canceller(std::move(cancel)); }
  /// These instead of what on_cancel() and on_thread_of() have set; neither is called after it.
  void use(Ref<detail::CompletionHooks> hooks) const { state_->set_hooks(std::move(hooks)); }
  /// What waits is run by the runner of use().
  void use_runner() const { state_->use_runner(); }

  friend bool operator==(const Promise& a, const Promise& b) { return a.state_ == b.state_; }

 private:
  Ref<detail::PendingState<T>> state_;
};

}  // namespace taut::ai
