#pragma once
// Prefix reductions along the middle of (outer, dim, inner).
//   kernels.cumsum({.input = x, .output = y, .input_dtype = kInt32, .output_dtype = kInt64,
//                   .outer = 4, .dim = 100, .inner = 1});

#include <cstdint>

#include "taut/base/macros.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// y[k] combines x[0..k], or x[k..dim-1] when is_reversed. Both contiguous (outer, dim, inner). The
/// output may be the input when the dtypes are the same.
struct ScanArgs {
  const void* input = nullptr;
  void* output = nullptr;
  DType input_dtype = kFloat32;
  DType output_dtype = kFloat32;
  int64_t outer = 0;
  int64_t dim = 0;
  int64_t inner = 1;
  bool is_reversed = false;
};

/// values[k] is the extremum of x[0..k], indices[k] where it stands: the last of equal ones, and
/// the last NaN from the first NaN on.
struct IndexScanArgs {
  const void* input = nullptr;  // (outer, dim, inner) contiguous, dtype
  void* values = nullptr;       // the same
  int64_t* indices = nullptr;   // (outer, dim, inner)
  DType dtype = kFloat32;
  int64_t outer = 0;
  int64_t dim = 0;
  int64_t inner = 1;
};

struct ScanKernels {
  /// Running sum and product. Input: any dtype. Output: the input's dtype for floating ones, int64
  /// for integers and bool. 16-bit floats are accumulated in float32.
  void (*cumsum)(const ScanArgs&) = nullptr;
  void (*cumprod)(const ScanArgs&) = nullptr;
  /// log(sum(exp(x[0..k]))); floating, same dtype out.
  void (*logcumsumexp)(const ScanArgs&) = nullptr;
  /// Running extremum with its index; any dtype.
  void (*cummax)(const IndexScanArgs&) = nullptr;
  void (*cummin)(const IndexScanArgs&) = nullptr;
};

/// The kernels for this machine's best instruction set.
TAUT_API ScanKernels scan_kernels_cpu();
ScanKernels scan_kernels_cuda();

}  // namespace taut::kernels
