#pragma once
// Copies from device memory to shared memory that need no registers on the way and are waited for
// later (Ampere and newer; older chips copy at once).
//   copy_async_16(slot, source);
//   commit_copies();                 // closes a group
//   wait_for_copies_but<1>();        // all groups but the newest have arrived

#include "kernels/api/cuda_launch.cuh"

namespace taut::kernels::cuda {

/// Starts to copy 16 bytes, aligned on both sides. They are there for the thread that started it
/// once it waited, for others after a barrier.
__device__ inline void copy_async_16(void* to, const void* from) {
#if __CUDA_ARCH__ >= 800
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
#else
  *static_cast<uint4*>(to) = *static_cast<const uint4*>(from);
#endif
}

__device__ inline void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int kNewest>
__device__ inline void wait_for_copies_but() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kNewest) : "memory");
#endif
}

/// Lets blocks of a kernel have all the dynamic shared memory that the device has for one, and says
/// how much; 0 where the kernel was compiled for chips that do not copy asynchronously.
template <auto kKernel>
int shared_bytes_for_copies(const char* op) {
  constexpr int kFirstToCopy = 80;  // compute capability
  static int limits[64] = {};       // bytes + 1; threads that meet here find the same
  const int device = taut::cuda::launch_device();
  int limit = 0;
  __atomic_load(&limits[device], &limit, __ATOMIC_RELAXED);
  if (limit == 0) {
    cudaFuncAttributes attributes;
    check(op, cudaFuncGetAttributes(&attributes, kKernel));
    int bytes = 0;
    if (attributes.ptxVersion >= kFirstToCopy && attributes.binaryVersion >= kFirstToCopy) {
      check(op, cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
      bytes -= static_cast<int>(attributes.sharedSizeBytes);
      check(op, cudaFuncSetAttribute(kKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    }
    limit = bytes + 1;
    __atomic_store(&limits[device], &limit, __ATOMIC_RELAXED);
  }
  return limit - 1;
}

}  // namespace taut::kernels::cuda
