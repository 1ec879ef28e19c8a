#pragma once
// The one door to cuBLASLt: products of column-major matrices with an epilogue, by plans that are
// made once for each kind of product.

#include <cublasLt.h>

#include <cstdint>

#include "kernels/api/epilogue.h"
#include "taut/core/dtype.h"

namespace taut::kernels::cuda {

/// One product, d = epilogue(alpha op(a) op(b) + beta d), of column-major matrices.
/// Everything that cuBLASLt's choice of kernel depends on; trivially comparable byte by byte.
struct GemmKey {
  int64_t m, n, k;
  int64_t lda, ldb, ldd;
  int64_t batch, stride_a, stride_b, stride_d;  // batch 1: strides 0
  int64_t ld_aux;                               // 0: the epilogue has no auxiliary matrix
  int32_t dtype;
  int32_t transpose_a, transpose_b;
  int32_t epilogue;   // a cublasLtEpilogue_t
  int32_t precision;  // a Float32Precision
  int32_t alignment;  // log2 of the smallest alignment of the operands in bytes, at most 8
  int32_t bias_alignment, aux_alignment;  // the same of the other two, 0 where they are null
  int32_t has_beta;
  int32_t device;
};

/// The epilogue says whether it reads or writes the last two; null where it has none.
struct GemmPointers {
  const void* a;
  const void* b;
  void* d;
  void* bias;  // a bias or its gradient, of the dtype
  void* aux;   // what an activation keeps for its gradient
};

/// Runs the product on the current stream. Returns false, with nothing done, when cuBLASLt has no
/// kernel for it. @throws CudaError, DeviceError without the library.
bool run_gemm(const GemmKey& key, const GemmPointers& pointers, double alpha, double beta);

}  // namespace taut::kernels::cuda
