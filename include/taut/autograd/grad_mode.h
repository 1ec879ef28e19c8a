#pragma once
// Whether ops are recorded on the tape, per thread.
//   { NoGradGuard no_grad;  weight.sub_(weight.grad(), lr); }

#include "taut/base/macros.h"

namespace taut {

namespace detail {

/// What record() looks at first; one load tells that nothing is to be done.
struct ThreadMode {
  bool grad_enabled = true;
  bool inference = false;
  /// Somebody (a tracer, a profiler, the op log) wants to see every op.
  bool observed = false;
  /// Ops choose their dtype; see taut/autograd/autocast_mode.h.
  bool autocast = false;
};
TAUT_API ThreadMode& thread_mode() noexcept;

}  // namespace detail

inline bool is_grad_enabled() { return detail::thread_mode().grad_enabled; }
inline bool is_inference_mode_enabled() { return detail::thread_mode().inference; }
inline void set_grad_enabled(bool enabled) { detail::thread_mode().grad_enabled = enabled; }

/// Sets grad mode for a scope.
class AutoGradMode {
 public:
  explicit AutoGradMode(bool enabled) : previous_(is_grad_enabled()) { set_grad_enabled(enabled); }
  AutoGradMode(const AutoGradMode&) = delete;
  AutoGradMode& operator=(const AutoGradMode&) = delete;
  ~AutoGradMode() { set_grad_enabled(previous_); }

 private:
  bool previous_;
};

/// Records nothing in its scope.
class NoGradGuard : public AutoGradMode {
 public:
  NoGradGuard() : AutoGradMode(false) {}
};

/// Records in its scope, inside a NoGradGuard too.
class EnableGradGuard : public AutoGradMode {
 public:
  EnableGradGuard() : AutoGradMode(true) {}
};

/// Like NoGradGuard, and the tensors made in its scope can never enter the tape: writes to them are
/// not counted. Saving one for backward is an error.
class InferenceMode {
 public:
  explicit InferenceMode(bool enabled = true) : previous_(detail::thread_mode()) {
    detail::thread_mode().inference = enabled;
    if (enabled) detail::thread_mode().grad_enabled = false;
  }
  InferenceMode(const InferenceMode&) = delete;
  InferenceMode& operator=(const InferenceMode&) = delete;
  ~InferenceMode() {
    detail::thread_mode().inference = previous_.inference;
    detail::thread_mode().grad_enabled = previous_.grad_enabled;
  }

 private:
  detail::ThreadMode previous_;
};

}  // namespace taut
