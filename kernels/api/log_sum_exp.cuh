#pragma once
// The logarithm of a sum of exponentials, summed up as m = max(x) and sum(exp(x - m)), where equal
// infinities differ by 0.

#include <cuda/std/limits>

namespace taut::kernels::cuda {

template <class A>
struct LogSumExp {
  A highest;
  A sum;

  __device__ static LogSumExp nothing() {
    return {-::cuda::std::numeric_limits<A>::infinity(), A(0)};
  }
  __device__ static LogSumExp of(A x) { return {x, A(1)}; }

  __device__ void add(A x) {
    const bool grows = x > highest || x != x;
    const A high = grows ? x : highest;
    const A factor = share(grows ? highest : x, high);
    sum = grows ? sum * factor + A(1) : sum + factor;
    highest = high;
  }
  __device__ LogSumExp merged(const LogSumExp& other) const {
    const bool grows = other.highest > highest || other.highest != other.highest;
    const A high = grows ? other.highest : highest;
    return {high, sum * share(highest, high) + other.sum * share(other.highest, high)};
  }
  __device__ A value() const { return isfinite(highest) ? highest + log(sum) : highest; }

 private:
  __device__ static A share(A low, A high) { return low == high ? A(1) : exp(low - high); }
};

}  // namespace taut::kernels::cuda
