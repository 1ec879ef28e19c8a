#pragma once
// The one door to cuBLASLt: products of column-major matrices with an epilogue, by plans that are
// made once for each kind of product.

#include <cublasLt.h>

#include <cstdint>

#include "kernels/api/epilogue.h"
#include "taut/core/dtype.h"

namespace taut::kernels::cuda {

/// One product, d = activation(alpha op(a) op(b) + beta d + bias), of column-major matrices.
/// Everything that cuBLASLt's choice of kernel depends on; trivially comparable byte by byte.
struct GemmKey {
  int64_t m, n, k;
  int64_t lda, ldb, ldd;
  int64_t batch, stride_a, stride_b, stride_d;  // batch 1: strides 0
  int32_t dtype;
  int32_t transpose_a, transpose_b;
  int32_t epilogue;   // a cublasLtEpilogue_t
  int32_t precision;  // a Float32Precision
  int32_t alignment;  // log2 of the smallest alignment of the operands in bytes, at most 8
  int32_t has_beta;
  int32_t device;
};

struct GemmPointers {
  const void* a;
  const void* b;
  void* d;
  const void* bias;  // (m) of the dtype, or null
};

/// Runs the product on the current stream. Returns false, with nothing done, when cuBLASLt has no
/// kernel for it. @throws CudaError, DeviceError without the library.
bool run_gemm(const GemmKey& key, const GemmPointers& pointers, double alpha, double beta);

}  // namespace taut::kernels::cuda
