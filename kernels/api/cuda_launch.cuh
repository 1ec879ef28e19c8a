#pragma once
// What every CUDA kernel file shares: grid sizes, the check after a launch, loads and stores by
// dtype.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "taut/base/check.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"

namespace taut::kernels::cuda {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = int64_t{1} << 20;

/// Blocks that give each thread `per_thread` of n elements; grid-stride loops take what is left.
inline unsigned blocks_for(int64_t n, int64_t per_thread = 1) {
  const int64_t per_block = kThreads * per_thread;
  const int64_t blocks = (n + per_block - 1) / per_block;
  return static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
}

/// @throws CudaError that names the op when its kernel could not be launched.
inline void check_launch(const char* op) {
  const cudaError_t status = cudaGetLastError();
  TAUT_CHECK(status == cudaSuccess, CudaError, op,
             ": the kernel could not be launched: ", cudaGetErrorString(status));
}

/// Sizes and strides of a kernel's operands, by value.
template <int kOperands>
struct StridedIndex {
  int rank;
  int64_t shape[kMaxRank];
  int64_t strides[kOperands][kMaxRank];

  __device__ void offsets(int64_t position, int64_t (&result)[kOperands]) const {
    for (int k = 0; k < kOperands; ++k) result[k] = 0;
    for (int i = rank - 1; i >= 0; --i) {
      const int64_t index = position % shape[i];
      position /= shape[i];
      for (int k = 0; k < kOperands; ++k) result[k] += index * strides[k][i];
    }
  }
};

/// Element `i` of memory of `dtype`, as a T.
template <class T>
__device__ inline T load_as(const void* data, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::float32: return static_cast<T>(static_cast<const float*>(data)[i]);
    case DType::float64: return static_cast<T>(static_cast<const double*>(data)[i]);
    case DType::float16: return static_cast<T>(__half2float(static_cast<const __half*>(data)[i]));
    case DType::bfloat16:
      return static_cast<T>(__bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]));
    case DType::int8: return static_cast<T>(static_cast<const int8_t*>(data)[i]);
    case DType::int16: return static_cast<T>(static_cast<const int16_t*>(data)[i]);
    case DType::int32: return static_cast<T>(static_cast<const int32_t*>(data)[i]);
    case DType::int64: return static_cast<T>(static_cast<const int64_t*>(data)[i]);
    case DType::uint8: return static_cast<T>(static_cast<const uint8_t*>(data)[i]);
    case DType::bool_: return static_cast<T>(static_cast<const bool*>(data)[i]);
  }
  return T(0);
}

/// Writes a T to element `i` of memory of `dtype`.
template <class T>
__device__ inline void store_as(void* data, DType dtype, int64_t i, T value) {
  switch (dtype) {
    case DType::float32: static_cast<float*>(data)[i] = static_cast<float>(value); break;
    case DType::float64: static_cast<double*>(data)[i] = static_cast<double>(value); break;
    case DType::float16:
      static_cast<__half*>(data)[i] = __float2half(static_cast<float>(value));
      break;
    case DType::bfloat16:
      static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16(static_cast<float>(value));
      break;
    case DType::int8: static_cast<int8_t*>(data)[i] = static_cast<int8_t>(value); break;
    case DType::int16: static_cast<int16_t*>(data)[i] = static_cast<int16_t>(value); break;
    case DType::int32: static_cast<int32_t*>(data)[i] = static_cast<int32_t>(value); break;
    case DType::int64: static_cast<int64_t*>(data)[i] = static_cast<int64_t>(value); break;
    case DType::uint8: static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(value); break;
    case DType::bool_: static_cast<bool*>(data)[i] = value != T(0); break;
  }
}

}  // namespace taut::kernels::cuda
