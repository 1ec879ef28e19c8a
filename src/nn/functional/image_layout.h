#pragma once
// Images with channels before what is spatial, or behind it.

#include "src/ops/allocate.h"

namespace taut::nn::functional {

inline Tensor allocate_images(const Dims& shape, MemoryFormat format, const Tensor& like) {
  if (format == MemoryFormat::contiguous) return ops::allocate(shape, like.dtype(), like.device());
  return ops::allocate_layout(Layout::channels_last(shape), like.dtype(), like.device());
}

}  // namespace taut::nn::functional
