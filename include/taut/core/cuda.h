#pragma once
// GPUs: which there are, waiting for them, and their memory. Importing or linking Taut touches no
// GPU; the first of these calls does. See taut/core/stream.h for streams and what is current, and
// taut/core/allocator.h for memory_stats() and empty_cache().

#include <string>
#include <vector>

#include "taut/core/device.h"
#include "taut/core/storage.h"
#include "taut/core/stream.h"

namespace taut::cuda {

/// The number of GPUs that CUDA sees; 0 in a build without CUDA, without a driver or without a GPU.
TAUT_API int device_count();

/// Whether at least one GPU can be used.
TAUT_API bool is_available();

/// Whether this build has CUDA kernels at all.
TAUT_API bool is_built();

struct DeviceProperties {
  std::string name;
  int major = 0;  // compute capability
  int minor = 0;
  int64_t total_memory = 0;  // bytes
  int multi_processor_count = 0;
  int64_t l2_cache_size = 0;    // bytes
  double clock_rate = 0;        // the highest, in Hz
  double memory_bandwidth = 0;  // bytes a second, by the memory's clock and width
};
/// @throws DeviceError without the device.
TAUT_API DeviceProperties device_properties(Device device = kCUDA);

/// Waits until all work queued on the GPU is done. @throws CudaError when some of it failed, and
/// IndexError when a kernel met an index out of range.
TAUT_API void synchronize(Device device = kCUDA);

/// With it on, every op waits for its kernel and throws what went wrong there, in its own name.
/// Also by the environment: TAUT_CUDA_SYNC=1. Slow; for debugging.
TAUT_API void set_sync_debug_mode(bool enabled);
TAUT_API bool sync_debug_mode();

// ---- memory
// -------------------------------------------------------------------------------------- The
// environment's TAUT_CUDA_CACHING=0 turns caching off, so that tools like compute-sanitizer see the
// bounds of each tensor.

struct MemoryInfo {
  int64_t free = 0;  // bytes
  int64_t total = 0;
};
/// What the device has, whoever holds it.
TAUT_API MemoryInfo mem_get_info(Device device = kCUDA);

/// At most this fraction of the device's memory is taken by this process; beyond it allocations
/// throw OutOfMemoryError. @throws ValueError unless it is in (0, 1].
TAUT_API void set_per_process_memory_fraction(double fraction, Device device = kCUDA);

/// The memory of `storage` is not used for anything else before the work that is on `stream` when
/// the storage goes is done. For tensors that another stream than that of their making uses.
TAUT_API void record_stream(const Storage& storage, const Stream& stream);

/// A block of a device's memory.
struct MemoryBlockInfo {
  const void* address = nullptr;
  int64_t size = 0;       // bytes
  int64_t requested = 0;  // bytes; 0 when it is free
  std::string state;      // "used", "free", "waiting" (freed, but another stream is not done)
  void* stream = nullptr;
  uint64_t pool = 0;   // of which captured graph; 0 of none
  std::string holder;  // the op whose result it holds; empty unless a MemoryHistory was watching
};
/// Notes whose result the memory of `storage` holds; see taut/autograd/memory_history.h. `op` must
/// never go away.
TAUT_API void set_memory_holder(const Storage& storage, const char* op);
/// All blocks that have memory.
TAUT_API std::vector<MemoryBlockInfo> memory_snapshot(Device device = kCUDA);
/// The counters as a table, and what the largest blocks hold.
TAUT_API std::string memory_summary(Device device = kCUDA);

/// A block of host memory that GPUs copy from and to without waiting; cached. @throws DeviceError
/// without a GPU, OutOfMemoryError.
TAUT_API Storage make_pinned_storage(size_t bytes);
TAUT_API bool is_pinned(const Storage& storage);

}  // namespace taut::cuda
