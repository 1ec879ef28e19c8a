#pragma once
// Pooling over 1 to 3 spatial dims. Tensors are contiguous, (planes, size...), with planes the
// product of batch and channels; ceil_mode is already resolved into output_size. `inner` planes may
// lie side by side, as in channels_last: (planes / inner, size..., inner).

#include <cstdint>

#include "kernels/api/index_result.h"
#include "taut/base/macros.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// The windows of a pooling: along each dim, output o covers the inputs o*stride - padding +
/// t*dilation for t in [0, kernel_size), clipped to the input. One entry for each spatial dim.
struct PoolShape {
  Dims input_size;
  Dims output_size;
  Dims kernel_size;
  Dims stride;
  Dims padding;
  Dims dilation;
};

/// output = the largest element of each window, the first of equals; a NaN is larger than anything
/// and the last NaN of a window wins. indices (int64, like output; may be null): where in the flat
/// input plane it was found. dtype: all but bool. A window that lies outside of the input gives the
/// lowest value (-inf for floats) and index -1.
struct MaxPoolArgs {
  DType dtype = DType::float32;
  int64_t planes = 0;
  PoolShape shape;
  const void* input = nullptr;
  void* output = nullptr;
  int64_t* indices = nullptr;
  int64_t inner = 1;
};

/// grad_input[plane][indices[plane][p]] += grad_output[plane][p], from a zeroed grad_input.
/// Serves max_pool and adaptive_max_pool. The index -1 is skipped. `shape` are the windows that the
/// indices were found in, of which CUDA asks each for its index; without a kernel_size they are
/// adaptive. dtype, here and in the kernels below: floating.
struct MaxPoolBackwardArgs {
  DType dtype = DType::float32;
  int64_t planes = 0;
  int64_t input_plane = 0;   // elements of a plane of grad_input
  int64_t output_plane = 0;  // elements of a plane of grad_output and indices
  PoolShape shape;
  const void* grad_output = nullptr;
  const int64_t* indices = nullptr;
  void* grad_input = nullptr;
  int64_t inner = 1;
};

/// output = the sum of each window over a divisor: divisor_override unless 0, else the number of
/// elements of the window, those in the padding (but not beyond it) counted iff count_include_pad.
/// dilation is 1. AvgPoolBackwardArgs below divides alike.
struct AvgPoolArgs {
  DType dtype = DType::float32;
  int64_t planes = 0;
  PoolShape shape;
  bool count_include_pad = true;
  int64_t divisor_override = 0;
  const void* input = nullptr;
  void* output = nullptr;
  int64_t inner = 1;
};

/// grad_input[q] = sum of grad_output[p] / divisor(p) over the windows p that cover q.
struct AvgPoolBackwardArgs {
  DType dtype = DType::float32;
  int64_t planes = 0;
  PoolShape shape;
  bool count_include_pad = true;
  int64_t divisor_override = 0;
  const void* grad_output = nullptr;
  void* grad_input = nullptr;
  int64_t inner = 1;
};

/// Adaptive windows: along each dim, output o of `out` covers the inputs from floor(o*in/out) to
/// ceil((o+1)*in/out). Inputs have at least one element in each dim.
struct AdaptiveAvgPoolArgs {
  DType dtype = DType::float32;
  int64_t planes = 0;
  Dims input_size;
  Dims output_size;
  const void* input = nullptr;
  void* output = nullptr;
  int64_t inner = 1;
};

struct AdaptiveAvgPoolBackwardArgs {
  DType dtype = DType::float32;
  int64_t planes = 0;
  Dims input_size;
  Dims output_size;
  const void* grad_output = nullptr;
  void* grad_input = nullptr;
  int64_t inner = 1;
};

/// As MaxPoolArgs, over adaptive windows.
struct AdaptiveMaxPoolArgs {
  DType dtype = DType::float32;
  int64_t planes = 0;
  Dims input_size;
  Dims output_size;
  const void* input = nullptr;
  void* output = nullptr;
  int64_t* indices = nullptr;
  int64_t inner = 1;
};

struct PoolKernels {
  void (*max_pool)(const MaxPoolArgs& args) = nullptr;
  IndexResult (*max_pool_backward)(const MaxPoolBackwardArgs& args) = nullptr;
  void (*avg_pool)(const AvgPoolArgs& args) = nullptr;
  void (*avg_pool_backward)(const AvgPoolBackwardArgs& args) = nullptr;
  void (*adaptive_avg_pool)(const AdaptiveAvgPoolArgs& args) = nullptr;
  void (*adaptive_avg_pool_backward)(const AdaptiveAvgPoolBackwardArgs& args) = nullptr;
  void (*adaptive_max_pool)(const AdaptiveMaxPoolArgs& args) = nullptr;
};

TAUT_API PoolKernels pool_kernels_cpu();
PoolKernels pool_kernels_cuda();

}  // namespace taut::kernels
