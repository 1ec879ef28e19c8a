#pragma once
// What CUDA's random kernels share: the place in the stream, and one thread for each Philox block.

#include "kernels/api/packs.cuh"
#include "kernels/api/random.h"

namespace taut::kernels::cuda {

/// The stream of random numbers from a place on.
struct RandomStream {
  RandomPlace place;

  explicit RandomStream(const RandomArgs& args) : place(args.place) {}

  __device__ PhiloxBlock block(int64_t i) const { return block_at(place, i); }
};

/// Elements of T that one block makes.
template <class T>
inline constexpr int kPerBlock = sizeof(T) == 8 && std::is_floating_point_v<T> ? 2 : 4;

/// The 64 bits of a wide element.
__device__ inline uint64_t wide_bits(const PhiloxBlock& block, int i) {
  return block.word[2 * i] | static_cast<uint64_t>(block.word[2 * i + 1]) << 32;
}

/// u in [0, 1); see Note [Which word makes which element].
__device__ inline void unit_values(const PhiloxBlock& block, float (&u)[4]) {
#pragma unroll
  for (int e = 0; e < 4; ++e) u[e] = static_cast<float>(block.word[e] >> 8) * 0x1p-24f;
}
__device__ inline void unit_values(const PhiloxBlock& block, double (&u)[2]) {
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    u[e] = static_cast<double>(static_cast<int64_t>(wide_bits(block, e) >> 11)) * 0x1p-53;
  }
}

/// The number of a thread, which is that of its block of the stream.
__device__ inline int64_t stream_block() { return int64_t{blockIdx.x} * kThreads + threadIdx.x; }

inline unsigned blocks_for_stream(int64_t n, int per_block) {
  const int64_t blocks = (n + per_block - 1) / per_block;
  return static_cast<unsigned>((blocks + kThreads - 1) / kThreads);
}

/// Writes the elements of block i as far as they lie before n. `whole`: the output is aligned to
/// kCount elements.
template <int kCount, class T>
__device__ inline void store_block(T* out, int64_t i, int64_t n, bool whole,
                                   const Pack<T, kCount>& pack) {
  const int64_t first = i * kCount;
  if (whole && first + kCount <= n) {
    store_pack<kCount>(out + first, pack);
    return;
  }
#pragma unroll
  for (int e = 0; e < kCount; ++e) {
    if (first + e < n) out[first + e] = pack.values[e];
  }
}

}  // namespace taut::kernels::cuda
