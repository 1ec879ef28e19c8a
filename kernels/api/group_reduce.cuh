#pragma once
// Merging the states of neighbouring threads, always in the same order.

#include <cuda_runtime.h>

#include <cstdint>

namespace taut::kernels::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

/// A state passed through `shuffle`, which exchanges words of 32 bits between lanes.
template <class State, class Shuffle>
__device__ inline State shuffle_words(const State& state, const Shuffle& shuffle) {
  static_assert(sizeof(State) % 4 == 0, "a state is shuffled in words of 32 bits");
  constexpr int kWords = sizeof(State) / 4;
  uint32_t words[kWords];
  memcpy(words, &state, sizeof(State));
#pragma unroll
  for (int i = 0; i < kWords; ++i) words[i] = shuffle(words[i]);
  State result;
  memcpy(&result, words, sizeof(State));
  return result;
}

/// The state of the lane `offset` above, below, or of number `lane`, within groups of `width`
/// lanes. Every lane of the warp takes part.
template <class State>
__device__ inline State shuffle_down(const State& state, int offset, int width) {
  return shuffle_words(state, [=](uint32_t word) {
    return __shfl_down_sync(kAllLanes, word, static_cast<unsigned>(offset), width);
  });
}
template <class State>
__device__ inline State shuffle_up(const State& state, int offset, int width) {
  return shuffle_words(state, [=](uint32_t word) {
    return __shfl_up_sync(kAllLanes, word, static_cast<unsigned>(offset), width);
  });
}
template <class State>
__device__ inline State shuffle_from(const State& state, int lane, int width) {
  return shuffle_words(state,
                       [=](uint32_t word) { return __shfl_sync(kAllLanes, word, lane, width); });
}

/// Merges the states of each group of neighbouring threads: a power of two of them up to a warp, or
/// the whole block. The first thread of the group gets the result. `across` has one entry for each
/// warp of the block; it is free again when this returns.
template <class R>
__device__ inline typename R::State reduce_group(const R& reducer, typename R::State state,
                                                 int group, typename R::State* across) {
  const int width = group < kWarp ? group : kWarp;
  for (int offset = width / 2; offset > 0; offset /= 2) {
    state = reducer.merge(state, shuffle_down(state, offset, width));
  }
  if (group <= kWarp) return state;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  if (threadIdx.x % kWarp == 0) across[warp] = state;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < warps; ++i) state = reducer.merge(state, across[i]);
  }
  __syncthreads();
  return state;
}

}  // namespace taut::kernels::cuda
