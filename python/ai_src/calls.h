#pragma once
// A call that is under way, without the type of its result: a result is what Python makes of it.

#include <pybind11/pybind11.h>

#include <utility>

#include "python_calls.h"
#include "taut/ai/backend.h"
#include "taut/ai/pending.h"

namespace taut::python {

class Call {
 public:
  /// `convert` makes a Python object of the value, with the lock held.
  template <class T, class Convert>
  Call(ai::Pending<T> pending, Convert convert)
      : wait_([pending](double seconds) { return pending.wait_for(seconds); }),
        result_([pending, convert] { return convert(pending.get()); }),
        cancel_([pending] { pending.cancel(); }),
        then_([pending](Callback<void()> next) {
          pending.then([next](ai::Outcome<T>) { next(); });
        }) {}

  bool wait(double seconds) const;
  pybind11::object result() const { return result_(); }
  void cancel() const;
  void on_done(pybind11::object function) const;

 private:
  Callback<bool(double)> wait_;
  Callback<pybind11::object()> result_;
  Callback<void()> cancel_;
  Callback<void(Callback<void()>)> then_;
};

/// Results as Python gets them: JSON text, and beside it what JSON is not good at.
Call call_of(ai::Pending<ai::ChatResponse> pending);
Call call_of(ai::Pending<ai::EmbeddingResponse> pending);
Call call_of(ai::Pending<std::optional<ai::StreamEvent>> pending);

/// (response, report of its route or None), both as JSON text.
pybind11::tuple texts_of(const ai::ChatResponse& response);

void bind_calls(pybind11::module_& module);

}  // namespace taut::python
