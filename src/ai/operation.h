#pragma once
// What a caller has asked of a provider: one call or several in a row, with one result.

#include <atomic>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "src/ai/call.h"
#include "src/ai/client_state.h"
#include "src/ai/provider_state.h"

namespace taut::ai {

/// The part of it that has no type.
class OperationBase {
 public:
  OperationBase(std::shared_ptr<Provider::State> provider, std::string model);
  virtual ~OperationBase() = default;

  Provider::State& provider() const { return *provider_; }
  const std::shared_ptr<Provider::State>& provider_pointer() const { return provider_; }
  const std::string& model() const { return model_; }
  /// Seconds on the client's clock; `seconds` from now where it is set, else the client's own
  /// total. Throws ProviderError, invalid_request, for what is no time.
  void set_deadline(const std::optional<double>& seconds);
  double deadline() const { return deadline_; }

  /// Begins a call. Where that cannot be, or the operation is over, the reader is told.
  void start(CallRequest request, std::unique_ptr<AnswerReader> reader);
  /// What any error of this operation looks like to the caller.
  std::exception_ptr explained(const std::exception_ptr& error) const;
  ProviderError cancelled() const;

 protected:
  /// Ends the call that is under way, without a word to its reader.
  void stop_call();
  /// Goes on with a call that its reader has paused.
  void resume_call() const;

 private:
  const std::shared_ptr<Provider::State> provider_;
  const std::string model_;
  double deadline_ = std::numeric_limits<double>::infinity();
  mutable std::mutex mutex_;
  std::weak_ptr<Call> call_;  // the client holds it while it is under way
  bool is_stopped_ = false;
  std::shared_ptr<const KeyText> key_;  // of all its calls: asked for once, on the caller's thread
  bool has_key_ = false;
};

template <class T>
class Operation final : public OperationBase, public std::enable_shared_from_this<Operation<T>> {
 public:
  using OperationBase::OperationBase;

  static std::shared_ptr<Operation> make(const std::shared_ptr<Provider::State>& provider,
                                         std::string model) {
    auto operation = std::make_shared<Operation>(provider, std::move(model));
    operation->promise_.on_thread_of(provider->client()->runner());
    operation->promise_.on_cancel([operation] { operation->cancel(); });
    provider->client()->count_call();
    return operation;
  }

  Pending<T> pending() const { return promise_.pending(); }

  void succeed(T value) { set(Outcome<T>(std::move(value)), nullptr); }
  void fail(const std::exception_ptr& error) {
    const std::exception_ptr shown = explained(error);
    set(Outcome<T>(shown), shown);
  }
  void cancel() {
    fail(std::make_exception_ptr(cancelled()));
    stop_call();
    // Another thread may have been first, and be about to set its outcome: whoever cancels has to
    // find it there, because no callback may begin later.
    static_cast<void>(promise_.pending().wait_for(std::numeric_limits<double>::infinity()));
  }
  /// Does `work`, whose exceptions are the operation's failure.
  template <class Work>
  void attempt(Work work) {
    try {
      work();
    } catch (...) {
      fail(std::current_exception());
    }
  }

  /// Reads the answer to one request whole: `parse` on the client's threads, then `next`.
  template <class Answer>
  std::unique_ptr<AnswerReader> reader(int64_t limit, Callback<Answer(const HttpAnswer&)> parse,
                                       Callback<void(Answer, CallReport)> next,
                                       Callback<std::optional<double>(const Answer&)> tokens = {}) {
    auto self = this->shared_from_this();
    return std::make_unique<WholeReader<Answer>>(
        limit, std::move(parse),
        [self, next](Answer answer, CallReport report) {
          self->attempt([&] { next(std::move(answer), std::move(report)); });
        },
        [self](std::exception_ptr error) { self->fail(error); }, std::move(tokens));
  }

 private:
  void set(Outcome<T> outcome, const std::exception_ptr& error) {
    if (is_set_.exchange(true)) return;
    provider().client()->count_end(error);  // before anybody can see the end and look at the counts
    promise_.set(std::move(outcome));
  }

  Promise<T> promise_;
  std::atomic<bool> is_set_{false};
};

}  // namespace taut::ai
