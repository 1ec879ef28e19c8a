#include "taut/core/allocator.h"

#include "src/core/cpu_allocator.h"
#include "src/core/cuda_runtime.h"

namespace taut {

Block allocate(Device device, size_t bytes) {
  if (TAUT_LIKELY(device.is_cpu())) {
    return {
        .data = cpu::allocate(bytes), .bytes = bytes, .release = &cpu::release, .context = nullptr};
  }
  return cuda::allocate(device, bytes);
}

MemoryStats memory_stats(Device device) {
  return device.is_cpu() ? cpu::memory_stats() : cuda::memory_stats(device);
}

void reset_peak_memory_stats(Device device) {
  if (device.is_cpu()) {
    cpu::reset_peak_memory_stats();
  } else {
    cuda::reset_peak_memory_stats(device);
  }
}

void empty_cache(Device device) {
  if (device.is_cpu()) {
    cpu::empty_cache();
  } else {
    cuda::empty_cache(device);
  }
}

}  // namespace taut
