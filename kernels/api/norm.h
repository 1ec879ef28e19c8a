#pragma once
// Normalisations: layer and RMS norm over rows, group and batch norm over (batch, channels,
// spatial). Statistics are saved in compute_dtype(dtype): float32, or float64 for float64.
//   kernels.layer_norm({.input = x, .weight = w, .bias = b, .output = y, .mean = m, .rstd = r,
//                       .dtype = kFloat32, .parameter_dtype = kFloat32, .rows = 64, .cols = 768});

#include <cstdint>

#include "taut/base/macros.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// y = (x - mean) rstd weight + bias, rstd = 1 / sqrt(var + eps), var biased; per row.
/// rms_norm: y = x rstd weight, rstd = 1 / sqrt(mean(x^2) + eps); bias and mean are not used.
/// With a residual x = input + residual, rounded to dtype, which goes to `sum`, too.
struct LayerNormArgs {
  const void* input = nullptr;     // (rows, cols) contiguous, dtype; input_dtype with a residual
  const void* residual = nullptr;  // (rows, cols) contiguous, dtype; may be null
  void* sum = nullptr;  // (rows, cols), dtype; with a residual, which it may be; not the output
  const void* weight = nullptr;  // (cols), parameter_dtype; may be null
  const void* bias = nullptr;    // (cols), parameter_dtype; may be null
  void* output = nullptr;        // (rows, cols), dtype; may be the input
  void* mean = nullptr;          // (rows), compute dtype; may be null
  void* rstd = nullptr;          // (rows), compute dtype; may be null
  DType dtype = kFloat32;
  DType input_dtype = kFloat32;      // with a residual: dtype, or a 16-bit float beside float32
  DType parameter_dtype = kFloat32;  // dtype or compute_dtype(dtype)
  int64_t rows = 0;
  int64_t cols = 0;
  double eps = 1e-5;
};

/// With xhat = (x - mean) rstd and h = grad_y weight:
///   grad_x = rstd (h - mean(h) - xhat mean(h xhat)),  grad_weight = sum_rows(grad_y xhat),
///   grad_bias = sum_rows(grad_y).
/// rms_norm: xhat = x rstd, grad_x = rstd (h - xhat mean(h xhat)); no mean, no grad_bias.
/// grad_sum is added to grad_x: what else came for the x that a residual was added to.
struct LayerNormBackwardArgs {
  const void* grad_output = nullptr;  // (rows, cols) contiguous, dtype
  const void* grad_sum = nullptr;     // (rows, cols) contiguous, dtype; may be null
  const void* input = nullptr;        // (rows, cols) contiguous, dtype
  const void* mean = nullptr;         // (rows), compute dtype
  const void* rstd = nullptr;         // (rows), compute dtype
  const void* weight = nullptr;       // (cols), parameter_dtype; may be null
  void* grad_input = nullptr;         // (rows, cols), dtype; may be null
  void* grad_weight = nullptr;        // (cols), parameter_dtype; may be null
  void* grad_bias = nullptr;          // (cols), parameter_dtype; may be null
  DType dtype = kFloat32;
  DType parameter_dtype = kFloat32;
  int64_t rows = 0;
  int64_t cols = 0;
};

/// Layer norm's formula over each group of channels / groups channels, with the affine part per
/// channel.
struct GroupNormArgs {
  const void* input = nullptr;   // (batch, channels, spatial) contiguous, dtype
  const void* weight = nullptr;  // (channels), parameter_dtype; may be null
  const void* bias = nullptr;    // (channels), parameter_dtype; may be null
  void* output = nullptr;        // (batch, channels, spatial), dtype; may be the input
  void* mean = nullptr;          // (batch, groups), compute dtype
  void* rstd = nullptr;          // (batch, groups), compute dtype
  DType dtype = kFloat32;
  DType parameter_dtype = kFloat32;
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t spatial = 0;
  int64_t groups = 1;
  double eps = 1e-5;
};

struct GroupNormBackwardArgs {
  const void* grad_output = nullptr;  // (batch, channels, spatial) contiguous, dtype
  const void* input = nullptr;        // (batch, channels, spatial) contiguous, dtype
  const void* mean = nullptr;         // (batch, groups), compute dtype
  const void* rstd = nullptr;         // (batch, groups), compute dtype
  const void* weight = nullptr;       // (channels), parameter_dtype; may be null
  void* grad_input = nullptr;         // (batch, channels, spatial), dtype; may be null
  void* grad_weight = nullptr;        // (channels), parameter_dtype; may be null
  void* grad_bias = nullptr;          // (channels), parameter_dtype; may be null
  DType dtype = kFloat32;
  DType parameter_dtype = kFloat32;
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t spatial = 0;
  int64_t groups = 1;
};

/// y = (x - mean) invstd weight + bias per channel. In training mean and var come from the batch (n
/// = batch * spatial elements a channel) and, where there are running statistics,
///   running_mean += momentum (mean - running_mean)
///   running_var += momentum (var n / (n - 1) - running_var);
/// otherwise the running statistics are used, and saved_* are not written. Channels that lie side
/// by side, as in channels_last, are those of spatial 1, with batch the number of places.
struct BatchNormArgs {
  const void* input = nullptr;   // (batch, channels, spatial) contiguous, dtype
  const void* weight = nullptr;  // (channels), parameter_dtype; may be null
  const void* bias = nullptr;    // (channels), parameter_dtype; may be null
  void* running_mean = nullptr;  // (channels), parameter_dtype; may be null in training
  void* running_var = nullptr;   // (channels), parameter_dtype; may be null in training
  void* output = nullptr;        // (batch, channels, spatial), dtype; may be the input
  void* saved_mean = nullptr;    // (channels), compute dtype; training only
  void* saved_invstd = nullptr;  // (channels), compute dtype; training only
  DType dtype = kFloat32;
  DType parameter_dtype = kFloat32;
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t spatial = 0;
  bool is_training = true;
  double momentum = 0.1;
  double eps = 1e-5;
};

/// In training layer norm's formula per channel; otherwise grad_x = grad_y weight invstd, where
/// mean and invstd come from the running statistics and eps.
struct BatchNormBackwardArgs {
  const void* grad_output = nullptr;   // (batch, channels, spatial) contiguous, dtype
  const void* input = nullptr;         // (batch, channels, spatial) contiguous, dtype
  const void* weight = nullptr;        // (channels), parameter_dtype; may be null
  const void* saved_mean = nullptr;    // (channels), compute dtype; training only
  const void* saved_invstd = nullptr;  // (channels), compute dtype; training only
  const void* running_mean = nullptr;  // (channels), parameter_dtype; inference only
  const void* running_var = nullptr;   // (channels), parameter_dtype; inference only
  void* grad_input = nullptr;          // (batch, channels, spatial), dtype; may be null
  void* grad_weight = nullptr;         // (channels), parameter_dtype; may be null
  void* grad_bias = nullptr;           // (channels), parameter_dtype; may be null
  DType dtype = kFloat32;
  DType parameter_dtype = kFloat32;
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t spatial = 0;
  bool is_training = true;
  double eps = 1e-5;
};

/// A batch norm of spatial 1, to whose result the residual is added, and then relu.
struct BatchNormReluArgs {
  BatchNormArgs norm;
  const void* residual = nullptr;  // like input; may be null
};

/// The gradients that relu lets through are those of the batch norm, and grad_residual.
struct BatchNormReluBackwardArgs {
  BatchNormBackwardArgs norm;
  const void* bias = nullptr;     // (channels), parameter_dtype; may be null
  const void* output = nullptr;   // what forward gave, where a residual was added
  void* grad_residual = nullptr;  // like input, where a residual was added
};

/// Floating dtypes; the 16-bit ones are computed in float32.
struct NormKernels {
  void (*layer_norm)(const LayerNormArgs&) = nullptr;
  void (*layer_norm_backward)(const LayerNormBackwardArgs&) = nullptr;
  void (*rms_norm)(const LayerNormArgs&) = nullptr;
  void (*rms_norm_backward)(const LayerNormBackwardArgs&) = nullptr;
  void (*group_norm)(const GroupNormArgs&) = nullptr;
  void (*group_norm_backward)(const GroupNormBackwardArgs&) = nullptr;
  void (*batch_norm)(const BatchNormArgs&) = nullptr;
  void (*batch_norm_backward)(const BatchNormBackwardArgs&) = nullptr;
  /// Null on devices where these are passes of their own.
  void (*batch_norm_relu)(const BatchNormReluArgs&) = nullptr;
  void (*batch_norm_relu_backward)(const BatchNormReluBackwardArgs&) = nullptr;
};

/// The kernels for this machine's best instruction set.
TAUT_API NormKernels norm_kernels_cpu();
TAUT_API NormKernels norm_kernels_cuda();

}  // namespace taut::kernels
