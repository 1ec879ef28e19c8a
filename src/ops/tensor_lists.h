#pragma once
// One call of a kernel for many tensors, such as all gradients of a model.

#include "taut/core/tensor.h"

namespace taut::ops {

/// The gradients of those that have one.
Tensors gradients_of(TensorList parameters);

/// The tensors in lists of one dtype and device each, in the order in which those turn up.
std::vector<Tensors> by_dtype_and_device(TensorList tensors);

struct ListScale {
  double factor = 1.0;
  /// Multiplies the factor: 0-dim, float32, read on the device. May be undefined.
  Tensor factor_tensor = {};
  /// 0-dim, float32; becomes 1 when an element is infinite or NaN before. May be undefined.
  Tensor non_finite = {};
};
/// x *= factor for tensors of one floating dtype, on the device of the scale's tensors. A factor of
/// 1 without a tensor only looks for what is not finite.
void scale_list(const Tensors& tensors, const ListScale& scale);

/// The sum of x^2 over all elements of tensors of one floating dtype and device: 0-dim, float64.
Tensor sum_squares_of_list(const Tensors& tensors);

}  // namespace taut::ops
