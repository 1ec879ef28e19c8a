#pragma once
// A GPU's memory by CUDA's virtual memory management: addresses and memory apart.

#include <memory>

#include "src/core/cuda/device_memory.h"
#include "taut/core/device.h"

namespace taut::cuda {

/// @throws CudaError when the driver does not answer.
std::unique_ptr<DeviceMemory> make_device_memory(Device device);

}  // namespace taut::cuda
