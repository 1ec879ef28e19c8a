#pragma once
// What the rest of Taut needs of CUDA beyond the public headers: memory for storages, copies, and
// the device that kernels run on. src/core/cuda implements it in a build with CUDA, cuda_none.cpp
// in one without, where it throws DeviceError.

#include <optional>
#include <string>

#include "taut/core/allocator.h"
#include "taut/core/cuda.h"
#include "taut/core/generator.h"

namespace taut::cuda {

/// Memory for use on the current stream of `device`.
Block allocate(Device device, size_t bytes);
MemoryStats memory_stats(Device device);
/// Whether memory of this device was ever asked for; to ask its statistics would begin to use it.
bool has_memory(Device device);
void reset_peak_memory_stats(Device device);
void empty_cache(Device device);

/// Copies between host and device or between devices, ordered after the work queued before it.
/// Without `non_blocking` the bytes are there, and the source may change, when the call returns;
/// with it only work on the current streams waits for them, where the host's memory is pinned.
void copy_bytes(const Storage& target, void* to, const Storage& source, const void* from,
                size_t bytes, bool non_blocking);

/// Makes a device the one that kernels are launched on. @throws DeviceError without the device.
void enter(Device device);

/// Which allocations of this thread share the memory of a captured graph; 0: of none.
uint64_t new_memory_pool();
uint64_t set_memory_pool(uint64_t pool);  // returns the one before
void release_memory_pool(Device device, uint64_t pool);

/// Where a captured kernel finds its random numbers, see Note [Random numbers in graphs]: `offset`
/// counts from the state that lies at `base` on the device when the graph is replayed.
struct CapturedRandom {
  const GeneratorState* base = nullptr;
  uint64_t offset = 0;
};
/// The place of the next `blocks` counter values for an op on `device`, when this thread is
/// capturing; the generator itself moves when the graph is replayed.
/// @throws ValueError unless it is the default generator.
std::optional<CapturedRandom> capture_random(Device device, const Generator& generator,
                                             uint64_t blocks);

/// A number that no other capture has, while this thread captures a Graph; 0 otherwise.
uint64_t current_capture();
/// What was refused in the capture of this thread, in words; empty when nothing was. Asked before
/// the capture is given up.
std::string capture_refusal();
/// Refuses what cannot be captured, and notes it. @throws CudaError.
[[noreturn]] void refuse_capture(const std::string& reason);

}  // namespace taut::cuda
