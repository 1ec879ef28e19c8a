#pragma once
// Sorting in shared memory.

#include <cstdint>

namespace taut::kernels::cuda {

/// Sorts each run of `length` (a power of two) of the `total` pairs in shared memory by key, equal
/// keys by position (Batcher, "Sorting networks and their applications", 1968). The whole block
/// takes part; ends with a barrier.
template <class K, class P>
__device__ inline void sort_pairs_in_block(K* keys, P* positions, int length, int total) {
  for (int size = 2; size <= length; size *= 2) {
    for (int stride = size / 2; stride > 0; stride /= 2) {
      __syncthreads();
      for (int t = static_cast<int>(threadIdx.x); t < total / 2;
           t += static_cast<int>(blockDim.x)) {
        const int low = 2 * t - (t & (stride - 1));
        const int high = low + stride;
        const bool ascends = (low & (length - 1) & size) == 0;
        const K a = keys[low], b = keys[high];
        const P at_a = positions[low], at_b = positions[high];
        const bool is_less = a < b || (a == b && at_a < at_b);
        if (is_less == ascends) continue;
        keys[low] = b;
        keys[high] = a;
        positions[low] = at_b;
        positions[high] = at_a;
      }
    }
  }
  __syncthreads();
}

}  // namespace taut::kernels::cuda
