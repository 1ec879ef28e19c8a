#pragma once
// The result of a call that goes on in the background.
//   Pending<ChatResponse> call = provider.chat(request);
//   ChatResponse response = call.get();                          // wait for it,
//   call.then([](Outcome<ChatResponse> outcome) { ... });        // be told,
//   ChatResponse response = co_await provider.chat(request);     // or go on when it is there

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "taut/base/callback.h"
#include "taut/base/macros.h"

namespace taut::ai {

/// A result or the error that came instead.
template <class T>
class Outcome {
 public:
  Outcome(const T& value) : value_(value) {}
  Outcome(T&& value) : value_(std::move(value)) {}
  Outcome(std::exception_ptr error) : error_(std::move(error)) {}

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

/// Whether something is done, and who wants to know: the part of a Pending that has no type.
class TAUT_API Completion {
 public:
  Completion();
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;
  ~Completion();

  bool is_done() const;
  void wait() const;
  bool wait_for(double seconds) const;
  /// `next` runs once: when it is done, on the thread that does it, or at once where it is. What it
  /// throws ends the program, as what a thread throws.
  void on_done(Callback<void()> next);
  /// True for the first who asks, and for nobody after: who may make it done, and has to.
  bool claim();
  void set_done();

  /// Who runs what waits, instead of the thread that makes it done. Set before anybody else sees
  /// it.
  void set_runner(Callback<void(Callback<void()>)> runner);
  /// What cancel() calls, once at most; nothing after it is done.
  void set_canceller(Callback<void()> cancel);
  /// What a thread calls before it waits, as long as it is not done: it may make it done. Set
  /// before anybody else sees it.
  void set_waiter(Callback<void()> wait);
  /// When it returns, no callback begins that has not begun: one that another thread is running is
  /// waited for. May be called from inside a callback.
  void cancel();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

template <class T>
struct PendingState {
  Completion completion;
  std::optional<Outcome<T>> outcome;  // written before the completion is done
};

}  // namespace detail

/// Copies speak of the same call. Dropping all of them does not cancel it.
template <class T>
class Pending {
 public:
  Pending() = default;
  explicit Pending(std::shared_ptr<detail::PendingState<T>> state) : state_(std::move(state)) {}

  bool is_done() const { return state_->completion.is_done(); }
  /// Whether it is done within so many seconds.
  bool wait_for(double seconds) const { return state_->completion.wait_for(seconds); }
  /// Waits; gives a copy of the result or throws the error.
  T get() const {
    state_->completion.wait();
    return state_->outcome->value();
  }
  /// The call ends with ErrorKind::cancelled, unless it is done by then. When this returns, no
  /// callback begins that has not begun; one that runs on another thread has ended.
  void cancel() const { state_->completion.cancel(); }
  /// Told once, on a thread of the client, or on this one where the call is done.
  void then(Callback<void(Outcome<T>)> next) const {
    state_->completion.on_done([state = state_, next] { next(*state->outcome); });
  }

  auto operator co_await() const {
    struct Awaiter {
      std::shared_ptr<detail::PendingState<T>> state;
      bool await_ready() const { return state->completion.is_done(); }
      void await_suspend(std::coroutine_handle<> waiting) const {
        state->completion.on_done([waiting] { waiting.resume(); });
      }
      T await_resume() const { return state->outcome->value(); }
    };
    return Awaiter{state_};
  }

 private:
  std::shared_ptr<detail::PendingState<T>> state_;
};

/// The other end of a Pending: the first outcome that is set is the one that counts.
template <class T>
class Promise {
 public:
  Promise() : state_(std::make_shared<detail::PendingState<T>>()) {}
  Pending<T> pending() const { return Pending<T>(state_); }
  /// Whether this outcome was the first.
  bool set(Outcome<T> outcome) const {
    if (!claim()) return false;
    fulfil(std::move(outcome));
    return true;
  }
  /// set() in two steps: the caller of claim() has to fulfil it where that is true, and who cancels
  /// waits for it.
  bool claim() const { return state_->completion.claim(); }
  void fulfil(Outcome<T>&& outcome) const {
    state_->outcome.emplace(std::move(outcome));
    state_->completion.set_done();
  }
  bool is_done() const { return state_->completion.is_done(); }
  void on_thread_of(Callback<void(Callback<void()>)> runner) const {
    state_->completion.set_runner(std::move(runner));
  }
  void on_cancel(Callback<void()> cancel) const {
    state_->completion.set_canceller(std::move(cancel));
  }
  /// Told when a thread is about to wait for the outcome.
  void on_wait(Callback<void()> wait) const { state_->completion.set_waiter(std::move(wait)); }

 private:
  std::shared_ptr<detail::PendingState<T>> state_;
};

}  // namespace taut::ai
