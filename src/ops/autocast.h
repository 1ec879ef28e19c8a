#pragma once
// How ops follow autocast. An op that has a say begins with
//   if (ops::is_autocast()) {
//     return ops::in_lower_dtype([](auto&&... x) { return matmul(x...); }, input, other);
//   }
// which calls it again, autocast off, with its tensors cast.

#include <type_traits>
#include <utility>

#include "taut/autograd/grad_mode.h"
#include "taut/core/tensor.h"

namespace taut::ops {

inline bool is_autocast() { return TAUT_UNLIKELY(detail::thread_mode().autocast); }

/// Autocast off for a scope, on all devices: what an op calls has been decided.
class AutocastPause {
 public:
  AutocastPause() : previous_(std::exchange(detail::thread_mode().autocast, false)) {}
  AutocastPause(const AutocastPause&) = delete;
  AutocastPause& operator=(const AutocastPause&) = delete;
  ~AutocastPause() { detail::thread_mode().autocast = previous_; }

 private:
  bool previous_;
};

/// The tensor in its device's autocast dtype, if it is float32 or a 16-bit float and autocast is on
/// there; as it is otherwise. Casts of weights are kept.
Tensor lowered(const Tensor& tensor);
/// The tensor in float32, if it is a 16-bit float and autocast is on for its device.
Tensor raised(const Tensor& tensor);

/// The widest dtype among tensors that autocast speaks of: float32, unless all of them are of one
/// 16-bit float.
DType widest_dtype(TensorList tensors);
/// The tensor in a floating dtype, if autocast speaks of it.
Tensor widened(const Tensor& tensor, DType dtype);

template <class T>
decltype(auto) lowered_argument(const T& argument) {
  if constexpr (std::is_same_v<T, Tensor>) {
    return lowered(argument);
  } else {
    return (argument);
  }
}
template <class T>
decltype(auto) raised_argument(const T& argument) {
  if constexpr (std::is_same_v<T, Tensor>) {
    return raised(argument);
  } else {
    return (argument);
  }
}

template <class T>
decltype(auto) widened_argument(const T& argument, DType dtype) {
  if constexpr (std::is_same_v<T, Tensor>) {
    return widened(argument, dtype);
  } else {
    return (argument);
  }
}
template <class T>
void collect_tensor(Tensors& tensors, const T& argument) {
  if constexpr (std::is_same_v<T, Tensor>) tensors.push_back(argument);
}

template <class Op, class... Args>
auto in_lower_dtype(const Op& op, const Args&... args) {
  const AutocastPause pause;
  return op(lowered_argument(args)...);
}
template <class Op, class... Args>
auto in_float32(const Op& op, const Args&... args) {
  const AutocastPause pause;
  return op(raised_argument(args)...);
}

/// For an op whose tensors must agree on a dtype.
template <class Op, class... Args>
auto in_widest_dtype(const Op& op, const Args&... args) {
  const AutocastPause pause;
  Tensors tensors;
  (collect_tensor(tensors, args), ...);
  const DType dtype = widest_dtype(tensors);
  return op(widened_argument(args, dtype)...);
}

}  // namespace taut::ops
