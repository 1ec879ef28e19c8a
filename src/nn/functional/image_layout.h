#pragma once
// How images lie in memory: channels before what is spatial, or behind it.

#include "src/ops/allocate.h"

namespace taut::nn::functional {

/// channels_last for what is that and nothing else; everything else counts as contiguous.
inline MemoryFormat image_format(const Tensor& input) {
  const bool is_last = !input.is_contiguous() && input.is_contiguous(MemoryFormat::channels_last);
  return is_last ? MemoryFormat::channels_last : MemoryFormat::contiguous;
}

inline Tensor allocate_images(const Dims& shape, MemoryFormat format, const Tensor& like) {
  if (format == MemoryFormat::contiguous) return ops::allocate(shape, like.dtype(), like.device());
  return ops::allocate_layout(Layout::channels_last(shape), like.dtype(), like.device());
}

}  // namespace taut::nn::functional
