#pragma once
// Tensors of attention: (batch, heads, length, width), in any order in memory but for the width.

#include "src/ops/allocate.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {

/// Batch and heads of a tensor of 2 to 4 dims; what it has not is 1. Three dims are (batch, length,
/// width), of one head each.
inline Tensor with_four_dims(const Tensor& tensor) {
  Tensor result = tensor;
  if (result.dim() == 2) result = unsqueeze(result, 0);
  if (result.dim() == 3) result = unsqueeze(result, 1);
  return result;
}

inline Tensor with_contiguous_rows(const Tensor& tensor) {
  return tensor.strides().back() == 1 || tensor.shape().back() == 1 ? tensor : contiguous(tensor);
}

/// Whether a tensor (batch, heads, length, width) has places of the sequence farther apart than
/// samples, as (length, batch, features) has them.
inline bool is_batch_inside(const Tensor& heads) {
  return heads.strides()[0] < heads.strides()[2] && heads.shape()[0] > 1;
}

/// A result of (batch, heads, length, width) that lies as `like` does: length before heads where
/// that has it so, and before the batch, too, since the heads are then joined without a copy.
inline Tensor allocate_heads(const Dims& shape, const Tensor& like) {
  const bool length_first = like.strides()[1] < like.strides()[2] && like.shape()[1] > 1;
  if (!length_first) return ops::allocate(shape, like.dtype(), like.device());
  const Layout layout =
      is_batch_inside(like)
          ? Layout::contiguous({shape[2], shape[0], shape[1], shape[3]}).permute({1, 2, 0, 3})
          : Layout::contiguous({shape[0], shape[2], shape[1], shape[3]}).transpose(1, 2);
  return ops::allocate_layout(layout, like.dtype(), like.device());
}

/// Gives a tensor of with_four_dims() the layout of the `dims` dims that it came from.
inline void drop_added_dims(const Tensor& tensor, int dims) {
  Layout layout = tensor.layout();
  while (layout.rank() > dims) layout = layout.select(dims == 2 ? 0 : 1, 0);
  tensor.impl()->set_layout(layout);
}

}  // namespace taut::nn::functional
