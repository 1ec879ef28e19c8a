#pragma once
// Hooks: functions that see, and may replace, gradients on their way.
//   HookHandle handle = register_hook(x, [](const Tensor& grad) { return grad * 2; });

#include <cstdint>

#include "taut/base/callback.h"
#include "taut/core/tensor.h"

namespace taut {

/// Returns a gradient that takes the place of the one it got, or an undefined tensor to keep it.
using TensorHook = Callback<Tensor(const Tensor& grad)>;
/// Sees a leaf after its grad was accumulated.
using PostAccumulateHook = Callback<void(const Tensor& leaf)>;

/// Takes a hook away again; does nothing when hook or tensor are gone.
class TAUT_API HookHandle {
 public:
  HookHandle() = default;
  explicit HookHandle(Callback<void()> remove) : remove_(std::move(remove)) {}
  void remove() {
    if (remove_) remove_();
    remove_ = nullptr;
  }

 private:
  Callback<void()> remove_;
};

/// Calls `hook` with the gradient of `tensor` each time one is computed, in order of registration.
/// @throws AutogradError unless the tensor requires grad.
TAUT_API HookHandle register_hook(const Tensor& tensor, TensorHook hook);

/// Calls `hook` after the grad of a leaf was accumulated, once each backward.
/// @throws AutogradError unless the tensor is a leaf that requires grad.
TAUT_API HookHandle register_post_accumulate_grad_hook(const Tensor& leaf, PostAccumulateHook hook);

}  // namespace taut
