#pragma once
// What compiles and launches generated kernels: NVRTC and the driver, or what a test puts in their
// place where there is no GPU.

#include <string>

#include "src/fusion/codegen.h"
#include "taut/base/macros.h"
#include "taut/core/device.h"

namespace taut::fusion {

struct Backend {
  /// Whose tensors are computed on by kernels.
  DeviceType device;
  /// Makes a device the current one. @throws DeviceError without it.
  void (*enter)(Device device);
  /// What kernels for the current device are compiled for. @throws CudaError, DeviceError.
  std::string (*architecture)();
  /// Compiled code, which lives as long as the process. Needs no device. @throws CudaError.
  const void* (*compile)(const KernelCode& kernel, const std::string& architecture);
  /// A kernel that can be launched on the current device, of what `compile` gave. @throws
  /// CudaError.
  void* (*load)(const void* compiled);
  /// Puts it on the current stream. @throws CudaError.
  void (*launch)(void* loaded, const KernelCode& kernel, KernelArguments& arguments);
};

const Backend& backend();
/// For tests, before the first function is fused; null for the GPU's. `given` must stay.
TAUT_API void set_backend(const Backend* given);

}  // namespace taut::fusion
