#pragma once
// Ops of your own with a derivative of your own.
//
//   struct Cube : taut::autograd::Function<Cube> {
//     static Tensors forward(FunctionContext& context, const Tensor& x) {
//       context.save_for_backward({x});
//       return {x * x * x};
//     }
//     static Tensors backward(FunctionContext& context, const Tensors& grads) {
//       const Tensor x = context.saved_tensors()[0];
//       return {grads[0] * x * x * 3};
//     }
//   };
//   Tensor y = Cube::apply(x)[0];

#include <string>
#include <tuple>
#include <vector>

#include "taut/autograd/grad_mode.h"
#include "taut/base/callback.h"
#include "taut/core/tensor.h"

namespace taut::autograd {

class Node;
class SavedTensor;

/// What forward leaves for backward.
class TAUT_API FunctionContext final : public RefCounted {
 public:
  static Ref<FunctionContext> make();

  /// Keeps tensors for backward, checked for later in-place writes. Inputs and outputs belong here;
  /// anything else may be kept in the object that the callbacks own.
  void save_for_backward(Tensors tensors) { to_save_ = std::move(tensors); }
  /// @throws AutogradError when one was overwritten since, or the graph was freed.
  Tensors saved_tensors() const;
  /// `count` of them from `first` on; the others may have been overwritten.
  Tensors saved_tensors(size_t first, size_t count) const;
  /// Outputs through which no gradient flows.
  void mark_non_differentiable(Tensors outputs) { non_differentiable_ = std::move(outputs); }
  /// Inputs that forward wrote in place; they must be returned as outputs.
  void mark_dirty(Tensors inputs) { dirty_ = std::move(inputs); }
  /// Whether backward gets zeros (the default) or undefined tensors for outputs without gradients.
  void set_materialize_grads(bool materialize) { materialize_grads_ = materialize; }
  bool needs_input_grad(size_t input) const { return needs_input_grad_[input]; }
  const std::vector<bool>& needs_input_grad() const { return needs_input_grad_; }

  void destroy() noexcept { delete this; }

 private:
  friend struct FunctionRunner;
  FunctionContext() = default;
  ~FunctionContext() = default;

  Tensors to_save_;
  Tensors non_differentiable_;
  Tensors dirty_;
  bool materialize_grads_ = true;
  std::vector<bool> needs_input_grad_;
  Node* node_ = nullptr;  // the node owns this context
};

using FunctionForward = Callback<Tensors(FunctionContext&)>;
using FunctionBackward = Callback<Tensors(FunctionContext&, const Tensors& grads)>;

/// Runs `forward` off the tape and records one node whose derivative is `backward`, which returns
/// one gradient for each of `inputs`, undefined where there is none. `name` must live as long as
/// the program.
/// @throws AutogradError when backward returns another number of gradients.
TAUT_API Tensors apply_function(const char* name, TensorList inputs, const FunctionForward& forward,
                                FunctionBackward backward);

namespace detail {

template <class T>
void collect(Tensors& tensors, const T& argument) {
  if constexpr (std::is_same_v<T, Tensor>) tensors.push_back(argument);
}
// Gradients come for the tensors among the arguments; users return one for each argument.
template <class... Args>
Tensors only_for_tensors(const Tensors& grads) {
  constexpr bool is_tensor[] = {std::is_same_v<Args, Tensor>..., false};
  Tensors result;
  for (size_t i = 0; i < sizeof...(Args) && i < grads.size(); ++i) {
    if (is_tensor[i]) result.push_back(grads[i]);
  }
  return result;
}

}  // namespace detail

/// A base class that turns static forward and backward into an op, as LibTorch has it. backward
/// returns one gradient for each argument of forward, undefined for those that are no tensors.
template <class Derived>
struct Function {
  template <class... Args>
  static Tensors apply(const Args&... args) {
    Tensors inputs;
    (detail::collect(inputs, args), ...);
    return apply_function(
        "function", inputs,
        [&](FunctionContext& context) { return Derived::forward(context, args...); },
        [](FunctionContext& context, const Tensors& grads) {
          const Tensors all = Derived::backward(context, grads);
          TAUT_CHECK(all.size() == sizeof...(Args), AutogradError, "function: backward returned ",
                     all.size(), " gradients; expected ", sizeof...(Args));
          return detail::only_for_tensors<Args...>(all);
        });
  }
};

}  // namespace taut::autograd
