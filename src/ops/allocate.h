#pragma once
// New tensors for the results of ops: no checks, no options, nothing on the tape.

#include "taut/autograd/grad_mode.h"
#include "taut/core/tensor.h"

namespace taut::ops {

inline Tensor allocate_layout(const Layout& layout, DType dtype, Device device) {
  const size_t bytes = static_cast<size_t>(layout.extent_end()) * item_size(dtype);
  Ref<TensorImpl> impl = TensorImpl::make(make_storage(device, bytes), layout, dtype);
  impl->is_inference = is_inference_mode_enabled();
  return Tensor(std::move(impl));
}

/// Contiguous and uninitialised.
inline Tensor allocate(const Dims& shape, DType dtype, Device device) {
  Ref<TensorImpl> impl = TensorImpl::make_contiguous(device, shape, dtype);
  impl->is_inference = is_inference_mode_enabled();
  return Tensor(std::move(impl));
}

/// A dense layout of `like`'s order of dims, contiguous when `like` is not dense.
Layout preserved_layout(const Tensor& like);

}  // namespace taut::ops
