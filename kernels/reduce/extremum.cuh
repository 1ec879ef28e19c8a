#pragma once
// Which of two numbers is the larger or the smaller one; a NaN is both.

#include <cuda/std/limits>

#include "kernels/api/cuda_launch.cuh"

namespace taut::kernels::cuda {

/// What an extremum of T is held in: at least 32 bits.
template <class T>
using ExtremumState =
    std::conditional_t<std::is_integral_v<T> && sizeof(T) < 4, int32_t, Compute<T>>;

/// What every other value beats.
template <class A, bool kIsMax>
__device__ constexpr A worst() {
  using Limits = ::cuda::std::numeric_limits<A>;
  if constexpr (std::is_floating_point_v<A>) {
    return kIsMax ? -Limits::infinity() : Limits::infinity();
  } else {
    return kIsMax ? Limits::lowest() : Limits::max();
  }
}

/// A NaN in x is taken, one in best compares false and stays.
template <bool kIsMax, class A>
__device__ inline A better(A best, A x) {
  const bool is_better = kIsMax ? x > best : x < best;
  return is_better || x != x ? x : best;
}

}  // namespace taut::kernels::cuda
