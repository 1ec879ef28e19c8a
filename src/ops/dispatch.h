#pragma once
// The kernels of a tensor's device.

#include "kernels/api/table.h"
#include "taut/core/tensor.h"

namespace taut::ops {

inline const kernels::KernelTable& kernels_of(Device device) {
  return TAUT_LIKELY(device.is_cpu()) ? kernels::cpu_table() : kernels::cuda_table();
}
inline const kernels::KernelTable& kernels_of(const Tensor& tensor) {
  return kernels_of(tensor.device());
}

/// @throws DeviceError that names `op` and the argument unless both are on one device.
void check_same_device(const char* op, const Tensor& a, const Tensor& b);
/// @throws ValueError when an argument is undefined.
void check_defined(const char* op, const char* argument, const Tensor& tensor);

}  // namespace taut::ops
