#pragma once
// Reductions of a strided input over any of its dims into a contiguous output over the kept dims
// (in their order). One struct of function pointers per device; see reduce_kernels_cpu().
//   kernels.sum({.input = x, .output = y, .input_dtype = kFloat32, .output_dtype = kFloat32,
//                .shape = {8, 5}, .strides = {5, 1}, .reduced_dims = 0b10});

#include <cstdint>

#include "taut/base/macros.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// The input of a reduction and the dims that go away. Strides count elements and may be zero or
/// negative. `output` has one element per combination of kept dims, contiguous, and must not
/// overlap the input.
struct ReduceArgs {
  const void* input = nullptr;
  void* output = nullptr;
  DType input_dtype = kFloat32;
  DType output_dtype = kFloat32;
  Dims shape = {};
  Dims strides = {};
  uint32_t reduced_dims = 0;  // bit i: dim i is reduced
};

/// aminmax: `output` of the base takes the minima, `max_output` the maxima, both of the input's
/// dtype.
struct MinMaxArgs : ReduceArgs {
  void* max_output = nullptr;
};

/// var and std: sum((x - mean)^2) / max(0, n - correction), and its square root when `is_std`.
/// `mean_output` (of output_dtype) may be null.
struct MomentArgs : ReduceArgs {
  double correction = 1.0;
  bool is_std = false;
  void* mean_output = nullptr;
};

/// vector_norm: sum(|x|^p)^(1/p); p = 0 counts the non-zeros, +-inf take max |x| and min |x|.
struct VectorNormArgs : ReduceArgs {
  double p = 2.0;
};

/// max, min, argmax and argmin: along one dim, or over all of them (dim = -1; the index then counts
/// in row-major order of `shape`). `indices` and `values` are contiguous over the kept dims; either
/// may be null. The first of equal elements wins, and a NaN wins over everything.
struct IndexReduceArgs {
  const void* input = nullptr;
  void* values = nullptr;      // dtype
  int64_t* indices = nullptr;  // int64
  DType dtype = kFloat32;
  Dims shape = {};
  Dims strides = {};
  int dim = -1;
};

struct ReduceKernels {
  /// Sum. Input: any dtype. Output: the input's dtype, or float32 for a 16-bit float (accumulated
  /// in float32); int64 for integers and bool. Nothing sums to 0.
  void (*sum)(const ReduceArgs&) = nullptr;
  /// Product; dtypes as for sum. Nothing multiplies to 1.
  void (*prod)(const ReduceArgs&) = nullptr;
  /// Sum over count; floating, output dtypes as for sum. Nothing averages to NaN.
  void (*mean)(const ReduceArgs&) = nullptr;
  /// Largest and smallest element; any dtype, output of the same. A NaN in the slice makes NaN. The
  /// slices are not empty.
  void (*amax)(const ReduceArgs&) = nullptr;
  void (*amin)(const ReduceArgs&) = nullptr;
  /// Both in one pass.
  void (*aminmax)(const MinMaxArgs&) = nullptr;
  /// Whether any or all elements are non-zero (NaN is); any dtype, bool output. Nothing gives false
  /// and true.
  void (*any)(const ReduceArgs&) = nullptr;
  void (*all)(const ReduceArgs&) = nullptr;
  /// How many elements are non-zero; any dtype, int64 output.
  void (*count_nonzero)(const ReduceArgs&) = nullptr;
  /// log(sum(exp(x))) = m + log(sum(exp(x - m))), m = max(x); floating, same dtype out. Nothing
  /// gives -inf.
  void (*logsumexp)(const ReduceArgs&) = nullptr;
  /// Variance or standard deviation; floating, output dtypes as for sum.
  void (*var)(const MomentArgs&) = nullptr;
  /// Floating, output dtypes as for sum.
  void (*vector_norm)(const VectorNormArgs&) = nullptr;
  /// Extremum and its int64 index; any dtype. The slices are not empty.
  void (*max)(const IndexReduceArgs&) = nullptr;
  void (*min)(const IndexReduceArgs&) = nullptr;
};

/// The kernels for this machine's best instruction set.
TAUT_API ReduceKernels reduce_kernels_cpu();
ReduceKernels reduce_kernels_cuda();

}  // namespace taut::kernels
