#pragma once
// The backward of a fused op by ops that can be differentiated again.

#include "taut/autograd/backward.h"
#include "taut/autograd/node.h"
#include "taut/ops/view.h"

namespace taut::ops {

/// Sets the gradients of a node whose first `count` saved tensors are its inputs: the op is made
/// once more by `compose(inputs)`, on the tape. It gets aliases, since an input that was given
/// twice, or made of another, must not count what goes to the other.
template <class Compose>
void composed_backward(autograd::BackwardContext& context, size_t count, const Compose& compose) {
  Tensors inputs, wanted;
  for (size_t i = 0; i < count; ++i) {
    inputs.push_back(context.saved(i));
    if (!context.needs(i)) continue;
    inputs[i] = alias(inputs[i]);
    wanted.push_back(inputs[i]);
  }
  const Tensor output = compose(inputs);
  const Tensor& grad = context.grad();
  const Tensors grads = autograd::grad(TensorList(&output, 1), wanted, TensorList(&grad, 1),
                                       /*retain_graph=*/true, /*create_graph=*/true);
  size_t next = 0;
  for (size_t i = 0; i < count; ++i) {
    if (context.needs(i)) context.set(i, grads[next++]);
  }
}

}  // namespace taut::ops
