#pragma once
// New tensors for the results of ops: no checks, no options, nothing on the tape.

#include <algorithm>
#include <limits>

#include "taut/autograd/grad_mode.h"
#include "taut/base/check.h"
#include "taut/core/tensor.h"

namespace taut::ops {

inline Tensor allocate_layout(const Layout& layout, DType dtype, Device device) {
  // What no memory holds stays so: the product must not overflow to something small.
  const auto extent = std::min(static_cast<uint64_t>(layout.extent_end()), uint64_t{1} << 58);
  const size_t bytes = extent * item_size(dtype);
  Ref<TensorImpl> impl = TensorImpl::make_allocated(device, layout, dtype, bytes);
  impl->is_inference = is_inference_mode_enabled();
  return Tensor(std::move(impl));
}

/// Contiguous and uninitialised.
inline Tensor allocate(const Dims& shape, DType dtype, Device device) {
  Ref<TensorImpl> impl = TensorImpl::make_contiguous(device, shape, dtype);
  impl->is_inference = is_inference_mode_enabled();
  return Tensor(std::move(impl));
}

/// Refuses strides that would reach past what an int64 can count, and so seem to reach nowhere.
/// What is left has room for an offset.
inline void check_extent(const char* op, const Dims& size, const Dims& stride) {
  int64_t extent = 0;
  for (int i = 0; i < size.rank(); ++i) {
    int64_t reach = 0;
    TAUT_CHECK(!__builtin_mul_overflow(std::max<int64_t>(size[i] - 1, 0), stride[i], &reach) &&
                   !__builtin_add_overflow(extent, reach, &extent) && extent < int64_t{1} << 62,
               ValueError, op, ": size ", size, " and stride ", stride, " reach past any memory");
  }
}

/// How many numbers there are from 0 to `largest`.
inline int64_t count_up_to(const char* op, int64_t largest) {
  TAUT_CHECK(largest < std::numeric_limits<int64_t>::max(), ValueError, op, ": the number ",
             largest, " is too large to count up to");
  return largest + 1;
}

/// Contiguous and uninitialised, of the shape of a contiguous tensor and a dtype no larger.
inline Tensor allocate_like(const TensorImpl& model, DType dtype) {
  Ref<TensorImpl> impl = TensorImpl::make_contiguous_like(model, dtype);
  impl->is_inference = is_inference_mode_enabled();
  return Tensor(std::move(impl));
}

/// channels_last for what is that and nothing else; everything else counts as contiguous.
inline MemoryFormat memory_format_of(const Tensor& tensor) {
  const bool is_last = !tensor.is_contiguous() && tensor.is_contiguous(MemoryFormat::channels_last);
  return is_last ? MemoryFormat::channels_last : MemoryFormat::contiguous;
}

/// A dense layout of `like`'s order of dims, contiguous when `like` is not dense.
Layout preserved_layout(const Tensor& like);

}  // namespace taut::ops
