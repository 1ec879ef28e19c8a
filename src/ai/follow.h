#pragma once
// A call that is another call's result, looked at or changed on its way.

#include <exception>
#include <utility>

#include "taut/ai/error.h"
#include "taut/ai/pending.h"

namespace taut::ai {

/// What `look` makes of the outcome of `inner`. Cancelling the one cancels the other.
template <class T>
Pending<T> followed(Pending<T> inner, Callback<void(Outcome<T>&)> look) {
  const Promise<T> promise;
  promise.on_cancel([inner] { inner.cancel(); });
  inner.then([promise, look](Outcome<T> outcome) {
    try {
      look(outcome);
    } catch (...) {
      outcome = Outcome<T>(std::current_exception());
    }
    promise.set(std::move(outcome));
  });
  return promise.pending();
}

template <class T>
Pending<T> failed_call(std::exception_ptr error) {
  const Promise<T> promise;
  promise.set(Outcome<T>(std::move(error)));
  return promise.pending();
}

template <class T>
Pending<T> finished_call(T value) {
  const Promise<T> promise;
  promise.set(Outcome<T>(std::move(value)));
  return promise.pending();
}

/// What an error says of itself; an error that is not of the AI clients counts as the provider's.
inline ErrorDetails details_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ProviderError& known) {
    return known.details();
  } catch (const std::exception& other) {
    ErrorDetails details;
    details.message = other.what();
    return details;
  } catch (...) {
    ErrorDetails details;
    details.message = "an unknown exception";
    return details;
  }
}

}  // namespace taut::ai
