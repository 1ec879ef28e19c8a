#pragma once
// From the number of an item to where it lies in strided operands, without divisions: what kernels
// use where StridedIndex would cost more than the memory accesses.
//   FastIndex<2> index(shape, {&target_strides, &source_strides});   // on the host
//   int64_t at[2];
//   index.locate(i, at);                                             // in the kernel, i < 2^31

#include <cstdint>

#include "taut/base/macros.h"
#include "taut/core/dims.h"

namespace taut::kernels::cuda {

/// Items of one launch: indices of 31 bits.
constexpr int64_t kMaxItems = (int64_t{1} << 31) - 1;

/// Division of 31-bit numbers by a divisor that the host knows: a multiplication and a shift, after
/// Granlund and Montgomery, "Division by invariant integers using multiplication" (1994).
struct FastDivider {
  uint32_t divisor;
  uint32_t multiplier;
  uint32_t shift;

  FastDivider() = default;
  /// 0 < d < 2^31.
  explicit FastDivider(int64_t d) : divisor(static_cast<uint32_t>(d)), shift(0) {
    while ((uint64_t{1} << shift) < divisor) ++shift;
    multiplier = static_cast<uint32_t>((((uint64_t{1} << shift) - divisor) << 32) / divisor + 1);
  }

#if defined(__CUDACC__)
  __device__ uint32_t quotient(uint32_t n) const { return (__umulhi(n, multiplier) + n) >> shift; }
#endif
};

/// A FastDivider where numbers below `limit` allow it, a division otherwise.
struct Divider {
  FastDivider fast;
  int64_t divisor;
  bool is_fast;

  Divider() = default;
  Divider(int64_t d, int64_t limit) : divisor(d), is_fast(d <= kMaxItems && limit <= kMaxItems) {
    fast = FastDivider(is_fast ? d : 1);
  }

#if defined(__CUDACC__)
  __device__ int64_t quotient(int64_t n) const {
    return is_fast ? int64_t{fast.quotient(static_cast<uint32_t>(n))} : n / divisor;
  }
#endif
};

/// Sizes and strides of kOperands operands; only the first `rank` entries are set.
template <int kOperands>
struct FastIndex {
  int rank = 0;
  FastDivider sizes[kMaxRank];
  int64_t strides[kMaxRank][kOperands];

  FastIndex() = default;
  FastIndex(const Dims& shape, const Dims* const (&operands)[kOperands]) : rank(shape.rank()) {
    for (int i = 0; i < rank; ++i) {
      sizes[i] = FastDivider(shape[i]);
      for (int k = 0; k < kOperands; ++k) strides[i][k] = (*operands[k])[i];
    }
  }

#if defined(__CUDACC__)
  /// The offsets of item i in the first kUsed operands.
  template <int kUsed>
  __device__ void locate(uint32_t i, int64_t (&at)[kUsed]) const {
    static_assert(kUsed <= kOperands);
#pragma unroll
    for (int k = 0; k < kUsed; ++k) at[k] = 0;
#pragma unroll 1
    for (int d = rank - 1; d >= 0; --d) {
      uint32_t position = i;
      if (d > 0) {
        i = sizes[d].quotient(position);
        position -= i * sizes[d].divisor;
      }
#pragma unroll
      for (int k = 0; k < kUsed; ++k) at[k] += int64_t{position} * strides[d][k];
    }
  }
#endif
};

}  // namespace taut::kernels::cuda
