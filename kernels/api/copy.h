#pragma once
// Moving elements: copies between layouts and dtypes, and filling with one value.

#include <cstdint>

#include "taut/base/macros.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"
#include "taut/core/scalar.h"

namespace taut::kernels {

/// target[i] = source[i] for all indices of `shape`, converted to the target's dtype: floating to
/// integer truncates towards zero, anything to bool asks whether it is not 0. Strides in elements.
/// The two must not overlap.
struct CopyArgs {
  void* target;
  const void* source;
  DType target_dtype;
  DType source_dtype;
  Dims shape;
  Dims target_strides;
  Dims source_strides;
};

/// target[i] = value for all indices of `shape`.
struct FillArgs {
  void* target;
  DType dtype;
  Dims shape;
  Dims strides;
  Scalar value;
};

/// target[i] = start + i * step for i in [0, n), contiguous; integers exactly, floats in double.
struct ArangeArgs {
  void* target;
  DType dtype;
  int64_t n;
  Scalar start;
  Scalar step;
};

struct CopyKernels {
  void (*copy)(const CopyArgs& args);
  void (*fill)(const FillArgs& args);
  void (*arange)(const ArangeArgs& args);
};

TAUT_API CopyKernels copy_kernels_cpu();
CopyKernels copy_kernels_cuda();

}  // namespace taut::kernels
