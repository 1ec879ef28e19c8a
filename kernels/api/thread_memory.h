#pragma once
// Memory that a thread keeps for its kernels from call to call. All of it hangs on one thread-local
// pointer: a library that is loaded late gets little room for thread-local variables.

#include <cstddef>
#include <cstdint>

namespace taut::kernels {

/// What the memory is for: a kernel that calls another one has a use of its own.
enum class ThreadMemory : uint8_t {
  gemm_rows,
  gemm_columns,
  softmax_row,
  conv_forward,
  conv_region,
  conv_backward_input,
  conv_weight_tiles,
  conv_weight_dots,
  conv_weight_images,
  conv_bias,
  conv_planes_read,
  conv_planes_written,
  conv_fold,
  count,
};

/// At least `bytes` bytes, aligned to 128, for this thread until it asks for the same use again.
/// What they hold is what was left there. @throws std::bad_alloc.
void* thread_memory(ThreadMemory use, size_t bytes);

/// The same for n elements.
template <class T>
T* thread_memory_of(ThreadMemory use, int64_t n) {
  return static_cast<T*>(thread_memory(use, static_cast<size_t>(n) * sizeof(T)));
}

}  // namespace taut::kernels
