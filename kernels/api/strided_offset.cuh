#pragma once
// Offsets of row-major positions in strided memory, for kernels.

#include <cstdint>

namespace taut::kernels::cuda {

/// position / size and what is left, quickly when both fit 32 bits.
__device__ inline int64_t divide(int64_t position, int64_t size, int64_t& rest) {
  if (((position | size) >> 32) == 0) {
    const uint32_t quotient = static_cast<uint32_t>(position) / static_cast<uint32_t>(size);
    rest = static_cast<uint32_t>(position) - quotient * static_cast<uint32_t>(size);
    return quotient;
  }
  const int64_t quotient = position / size;
  rest = position - quotient * size;
  return quotient;
}

/// The offset of a row-major position. The outermost dim needs no division.
__device__ inline int64_t offset_at(int64_t position, int rank, const int64_t* shape,
                                    const int64_t* strides) {
  if (rank == 0) return 0;
  int64_t offset = 0;
#pragma unroll 1
  for (int d = rank - 1; d > 0; --d) {
    int64_t index;
    position = divide(position, shape[d], index);
    offset += index * strides[d];
  }
  return offset + position * strides[0];
}

/// a / b, rounded up.
__host__ __device__ inline int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace taut::kernels::cuda
