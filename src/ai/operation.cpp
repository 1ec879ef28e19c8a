#include "src/ai/operation.h"

#include <algorithm>
#include <cmath>

#include "taut/base/check.h"

namespace taut::ai {

OperationBase::OperationBase(std::shared_ptr<Provider::State> provider, std::string model)
    : provider_(std::move(provider)), model_(std::move(model)) {}

void OperationBase::set_deadline(const std::optional<double>& seconds) {
  const std::optional<double>& limit =
      seconds ? seconds : provider_->client()->options().timeouts.total;
  if (!limit) return;
  if (!(std::isfinite(*limit) && *limit > 0)) {
    throw ProviderError(
        {.kind = ErrorKind::invalid_request,
         .message = concat("deadline: not a time; got ", *limit, "; expected seconds above 0"),
         .param = "deadline"});
  }
  deadline_ = provider_->client()->transport().time().now() + *limit;
}

void OperationBase::start(CallRequest request, std::unique_ptr<AnswerReader> reader) {
  request.deadline = deadline_;
  const int64_t limit = provider_->client()->options().limits.request;
  if (static_cast<int64_t>(request.http.body.size()) > limit) {
    throw ProviderError(
        {.kind = ErrorKind::request_too_large,
         .message = concat("the request is too large; got ", request.http.body.size(),
                           " bytes; expected at most ", limit)});
  }
  if (!std::exchange(has_key_, true)) key_ = provider_->key();
  request.key = key_;
  provider_->headers(request.http);  // what may not stand in one is refused before anything is sent
  auto call =
      std::make_shared<Call>(provider_->client(), provider_, std::move(request), std::move(reader));
  {
    const std::lock_guard lock(mutex_);
    if (is_stopped_) return;  // cancelled: the caller has been told
    call_ = call;
  }
  if (!provider_->client()->submit(call)) throw cancelled();
}

void OperationBase::stop_call() {
  std::shared_ptr<Call> call;
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
    call = call_.lock();
  }
  if (call != nullptr) provider_->client()->transport().post([call] { call->abandon(); });
}

void OperationBase::resume_call() const {
  std::shared_ptr<Call> call;
  {
    const std::lock_guard lock(mutex_);
    call = call_.lock();
  }
  if (call != nullptr) provider_->client()->transport().post([call] { call->resume(); });
}

ProviderError OperationBase::cancelled() const {
  int attempts = 1;
  {
    const std::lock_guard lock(mutex_);
    if (const auto call = call_.lock()) attempts = std::max(1, call->attempts());
  }
  return ProviderError({.kind = ErrorKind::cancelled,
                        .provider = provider_->config().name,
                        .model = model_,
                        .message = "the call was cancelled",
                        .attempts = attempts});
}

std::exception_ptr OperationBase::explained(const std::exception_ptr& error) const {
  ErrorDetails details;
  try {
    std::rethrow_exception(error);
  } catch (const ProviderError& failure) {
    details = failure.details();
  } catch (const ValueError& failure) {
    details.kind = ErrorKind::invalid_request;
    details.message = failure.what();
  } catch (...) {
    return error;
  }
  details.provider = provider_->config().name;
  if (details.model.empty()) details.model = model_;
  provider_->client()->keys().redact(details);
  return std::make_exception_ptr(ProviderError(std::move(details)));
}

}  // namespace taut::ai
