#pragma once
// GPUs: how many there are, which one is current, and waiting for them. Importing or linking Taut
// touches no GPU; the first of these calls does.

#include "taut/core/device.h"

namespace taut::cuda {

/// The number of GPUs that CUDA sees; 0 in a build without CUDA, without a driver or without a GPU.
TAUT_API int device_count();

/// Whether at least one GPU can be used.
TAUT_API bool is_available();

/// Whether this build has CUDA kernels at all.
TAUT_API bool is_built();

/// Waits until all work queued on the GPU is done. @throws CudaError when some of it failed.
TAUT_API void synchronize(Device device = kCUDA);

}  // namespace taut::cuda
