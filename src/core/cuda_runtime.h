#pragma once
// What the core needs of CUDA: memory, copies, the current stream. One file implements it with the
// CUDA runtime (kernels/table_cuda.cpp's build) and one without, which throws DeviceError.

#include "taut/core/allocator.h"
#include "taut/core/cuda.h"

namespace taut::cuda {

Block allocate(Device device, size_t bytes);
MemoryStats memory_stats(Device device);
void reset_peak_memory_stats(Device device);
void empty_cache(Device device);

/// Copies between host and device or between devices, ordered after the work queued before it; the
/// host sees the bytes when the call returns.
void copy_bytes(void* target, Device target_device, const void* source, Device source_device,
                size_t bytes);

/// The stream that new work on the current thread goes to.
void* current_stream(Device device);

}  // namespace taut::cuda
