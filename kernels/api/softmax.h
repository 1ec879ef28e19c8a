#pragma once
// Softmax and log-softmax over the middle of (outer, dim, inner), and the cross entropy that is
// fused from them over rows of logits.
//   kernels.softmax({.input = x, .output = y, .dtype = kFloat32, .outer = 32, .dim = 1000, .inner =
// 1});

#include <cstdint>

#include "taut/base/macros.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// All pointers: contiguous (outer, dim, inner) of `dtype`. output may be the input.
struct SoftmaxArgs {
  const void* input = nullptr;
  void* output = nullptr;
  DType dtype = kFloat32;
  int64_t outer = 0;
  int64_t dim = 0;
  int64_t inner = 1;
};

/// All pointers: contiguous (outer, dim, inner) of `dtype`; `output` is what the forward wrote.
/// grad_input may be grad_output.
struct SoftmaxBackwardArgs {
  const void* grad_output = nullptr;
  const void* output = nullptr;
  void* grad_input = nullptr;
  DType dtype = kFloat32;
  int64_t outer = 0;
  int64_t dim = 0;
  int64_t inner = 1;
};

/// With e = label_smoothing, y = targets[row], p = softmax(logits[row]), w = weight (1 when null):
///   losses[row] = -(1 - e) w[y] log p[y] - e / classes * sum_c w[c] log p[c]
/// and 0 for a row whose target is ignore_index. Then the mean is sums[0] / sums[1].
struct CrossEntropyArgs {
  const void* logits = nullptr;      // (rows, classes) contiguous, dtype
  const int64_t* targets = nullptr;  // (rows)
  const void* weight = nullptr;      // (classes), dtype; may be null
  void* losses = nullptr;            // (rows), dtype; may be null
  void* log_sum_exp = nullptr;       // (rows), compute_dtype(dtype): kept for the backward
  void* sums = nullptr;              // (2), compute_dtype(dtype): sum of the losses and sum of
                                     // w[y] over the rows that are not ignored; may be null
  DType dtype = kFloat32;
  int64_t rows = 0;
  int64_t classes = 0;
  int64_t ignore_index = -100;
  double label_smoothing = 0.0;
};

/// What a kernel that reads targets reports back. CUDA kernels, which cannot know yet, say -1.
struct CrossEntropyResult {
  int64_t invalid_row = -1;  // the first row whose target is out of range; its loss is unspecified
};

/// grad_logits[row, j] = g ((1 - e) w[y] (p[j] - [j = y]) + e / classes (W p[j] - w[j])),
/// W = sum_c w[c], g = grad_losses[row * grad_stride] / divisor; zeros for ignored rows.
struct CrossEntropyBackwardArgs {
  const void* logits = nullptr;       // (rows, classes) contiguous, dtype
  const int64_t* targets = nullptr;   // (rows), checked by the forward
  const void* weight = nullptr;       // (classes), dtype; may be null
  const void* log_sum_exp = nullptr;  // (rows), compute_dtype(dtype), from the forward
  const void* grad_losses = nullptr;  // compute_dtype(dtype)
  int64_t grad_stride = 1;            // 1: one gradient a row; 0: one for all (mean and sum)
  const void* divisor = nullptr;      // one compute_dtype(dtype), `sums + 1` for the mean; null: 1
  void* grad_logits = nullptr;        // (rows, classes) contiguous, dtype; may be the logits
  DType dtype = kFloat32;
  int64_t rows = 0;
  int64_t classes = 0;
  int64_t ignore_index = -100;
  double label_smoothing = 0.0;
};

/// Floating dtypes; the 16-bit ones are computed in float32.
struct SoftmaxKernels {
  /// y = exp(x - m) / sum(exp(x - m)), m = max(x).
  void (*softmax)(const SoftmaxArgs&) = nullptr;
  /// y = x - m - log(sum(exp(x - m))).
  void (*log_softmax)(const SoftmaxArgs&) = nullptr;
  /// grad_x = y (g - sum(g y)).
  void (*softmax_backward)(const SoftmaxBackwardArgs&) = nullptr;
  /// grad_x = g - exp(y) sum(g).
  void (*log_softmax_backward)(const SoftmaxBackwardArgs&) = nullptr;
  CrossEntropyResult (*cross_entropy)(const CrossEntropyArgs&) = nullptr;
  void (*cross_entropy_backward)(const CrossEntropyBackwardArgs&) = nullptr;
};

/// The kernels for this machine's best instruction set.
TAUT_API SoftmaxKernels softmax_kernels_cpu();
TAUT_API SoftmaxKernels softmax_kernels_cuda();

}  // namespace taut::kernels
