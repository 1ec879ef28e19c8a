#pragma once
// Giving a tensor other elements while it stays the same tensor: what moves a module's parameters
// to another dtype or device without anybody noticing that holds them.

#include "taut/core/tensor.h"

namespace taut::autograd {

/// Makes `tensor`, a leaf, show the elements of `data`, whose shape, dtype and device it takes
/// over. Hooks stay. Its gradient is replaced by `grad`, which may be undefined and otherwise fits
/// `data`.
/// @throws AutogradError unless tensor is a leaf, or when gradients are asked of data's dtype.
TAUT_API void set_data(const Tensor& tensor, const Tensor& data, const Tensor& grad = Tensor());

}  // namespace taut::autograd
