#pragma once
// The kernels of a tensor's device.

#include "kernels/api/table.h"
#include "src/core/cuda_runtime.h"
#include "taut/core/tensor.h"

namespace taut::ops {

/// A GPU becomes the one that its kernels are launched on; see Note [Ambient stream].
inline const kernels::KernelTable& kernels_of(Device device) {
  if (TAUT_LIKELY(device.is_cpu())) return kernels::cpu_table();
  cuda::enter(device);
  return kernels::cuda_table();
}
inline const kernels::KernelTable& kernels_of(const Tensor& tensor) {
  return kernels_of(tensor.device());
}

/// @throws DeviceError that names `op` and the argument unless both are on one device.
void check_same_device(const char* op, const Tensor& a, const Tensor& b);
/// @throws ValueError when an argument is undefined.
void check_defined(const char* op, const char* argument, const Tensor& tensor);

/// What stands for a tensor that a node has no use for.
const Tensor& undefined();

}  // namespace taut::ops
