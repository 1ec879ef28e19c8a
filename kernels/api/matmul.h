#pragma once
// Matrix products. Matrices are given by a pointer and two strides, so that transposed, sliced and
// broadcast operands need no copy.

#include <cstdint>

#include "kernels/api/epilogue.h"
#include "kernels/api/precision.h"
#include "taut/base/macros.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// A read-only batch of matrices; strides count elements, a broadcast dim has stride 0.
struct MatrixInput {
  const void* data = nullptr;
  int64_t row_stride = 0;
  int64_t col_stride = 0;
  Dims batch_strides;  // one for each entry of GemmArgs::batch
};

struct MatrixOutput {
  void* data = nullptr;
  int64_t row_stride = 0;
  int64_t col_stride = 0;
  Dims batch_strides;
};

/// c = activation(alpha * a @ b + beta * c + bias), for every index of `batch`.
/// a: (m, k), b: (k, n), c: (m, n), all of `dtype`; any strides, but no two elements of c share
/// memory and c overlaps neither operand. With beta == 0 c is not read.
/// dtype: all but bool; float16 and bfloat16 accumulate in float32 and round once; integers wrap.
struct GemmArgs {
  DType dtype = DType::float32;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  Dims batch;
  MatrixInput a;
  MatrixInput b;
  MatrixOutput c;
  double alpha = 1.0;
  double beta = 0.0;
  const void* bias = nullptr;  // (n), of `dtype`, added to each row; may be null
  int64_t bias_stride = 1;
  Activation activation = Activation::none;                // floating dtypes only
  Float32Precision precision = Float32Precision::highest;  // of float32; GPUs only
};

/// *output = sum of a[i] * b[i] over i in [0, n). dtype: all but bool; the 16-bit floats accumulate
/// in float32.
struct DotArgs {
  DType dtype = DType::float32;
  int64_t n = 0;
  const void* a = nullptr;
  int64_t a_stride = 1;
  const void* b = nullptr;
  int64_t b_stride = 1;
  void* output = nullptr;
};

/// What a fused product does in the same pass, for layers and their gradients.
enum class Fusion : uint8_t {
  row_sums,             // c = a @ b; sums[i] = the sum of row i of a
  activation,           // c = activation(x), x = a @ b + bias; what its gradient needs goes to kept
  activation_gradient,  // c = (a @ b) * activation'(x), x from kept
};

/// Matrices without a batch; c is (m, n) and contiguous. Sums are taken in float32 or wider.
struct FusedGemmArgs {
  Fusion fusion = Fusion::activation;
  DType dtype = DType::float32;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  MatrixInput a;
  MatrixInput b;
  void* c = nullptr;
  Activation activation = Activation::none;
  const void* bias = nullptr;  // (n), contiguous; may be null
  void* sums = nullptr;        // (m), of `dtype`
  bool keeps = false;          // activation: whether x is kept. activation_gradient has it anyway
  /// x itself, (m, n) and contiguous, of `dtype`. ReLU keeps nothing: its gradient is that at its
  /// output.
  void* kept = nullptr;
  Float32Precision precision = Float32Precision::highest;
};

struct MatmulKernels {
  void (*gemm)(const GemmArgs& args) = nullptr;
  void (*dot)(const DotArgs& args) = nullptr;
  /// Whether fused_gemm is for such a product, and better than separate passes; the pointers do not
  /// matter. Null where there are no such kernels.
  bool (*fuses)(const FusedGemmArgs& args) = nullptr;
  /// Returns false, with nothing done, where the library has no kernel for these operands.
  bool (*fused_gemm)(const FusedGemmArgs& args) = nullptr;
};

TAUT_API MatmulKernels matmul_kernels_cpu();
TAUT_API MatmulKernels matmul_kernels_cuda();

}  // namespace taut::kernels
