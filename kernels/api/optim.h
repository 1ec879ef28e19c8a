#pragma once
// Optimizer steps in place over lists of contiguous buffers, one call for all parameters of a
// dtype. The formulas and the order of operations are PyTorch's; 16-bit parameters are computed in
// float32.
//   SgdArgs args{{.params = p, .grads = g, .sizes = n, .count = 12, .dtype = kFloat32}};
//   args.lr = 0.1;
//   kernels.sgd(args);

#include <cstdint>

#include "kernels/api/small_state.h"
#include "taut/base/macros.h"
#include "taut/core/dtype.h"

namespace taut::cuda {
class CapturedLaunches;
}

namespace taut::kernels {

/// What a gradient scaler says of a step, in device memory, so that the host need not wait for it.
/// Null: nothing is said.
struct StepControl {
  const float* grad_factor = nullptr;  // gradients are multiplied by it first
  const float* found_inf = nullptr;    // unless it is 0 the step does nothing ...
  float* skipped_steps = nullptr;      // ... but add 1 to skipped_steps[places[i]] for each i,
  const int64_t* places = nullptr;     // in host memory; what stands there is taken off steps[i]
};

/// `count` parameters: params[i] and grads[i] point to sizes[i] elements of `dtype`. The lists
/// themselves lie in host memory and are read before the call returns.
struct ParamList {
  void* const* params = nullptr;
  const void* const* grads = nullptr;
  const int64_t* sizes = nullptr;
  int64_t count = 0;
  DType dtype = kFloat32;
  /// 16-bit floats that get the new params too, rounded, and whose dtype the gradients have. Null:
  /// there are none, and the gradients are of `dtype`. With them `dtype` is float32.
  void* const* low_params = nullptr;
  DType low_dtype = kFloat32;
  const int64_t* steps = nullptr;  // of those that count them: from 1 on, with this one
  /// How the state of SGD and Adam lies; see Note [Small state]. One that is not plain begins on an
  /// address that is a multiple of 16.
  StateFormat state_format = StateFormat::plain;
  const int64_t* places = nullptr;  // in the optimizer, for states that are rounded at random
  StepControl control = {};
  // Of a step that is captured or replayed: where its launches are noted, or get these arguments.
  taut::cuda::CapturedLaunches* launches = nullptr;
};

/// g = maximize ? -grad : grad;  g += weight_decay p
/// momentum != 0: buf = is_first_step ? g : momentum buf + (1 - dampening) g;
///                g = nesterov ? g + momentum buf : buf
/// p -= lr g
struct SgdArgs : ParamList {
  void* const* momentum_buffers = nullptr;  // dtype or state_format; null when momentum is 0
  double lr = 1e-3;
  double momentum = 0.0;
  double dampening = 0.0;
  double weight_decay = 0.0;
  bool nesterov = false;
  bool maximize = false;
  bool is_first_step = false;  // momentum_buffers are written, not read
};

/// g = maximize ? -grad : grad
/// decoupled (AdamW): p *= 1 - lr weight_decay;  else: g += weight_decay p
/// m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g g
/// amsgrad: vmax = max(vmax, v), used for v below
/// p += -(lr / (1 - beta1^t)) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
/// with the bias corrections in double, t = steps[i].
struct AdamArgs : ParamList {
  void* const* exp_avgs = nullptr;         // m, dtype or state_format
  void* const* exp_avg_sqs = nullptr;      // v, the same, rounded at random
  void* const* max_exp_avg_sqs = nullptr;  // vmax, the same; amsgrad only
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
  bool amsgrad = false;
  bool maximize = false;
  bool decoupled = false;
};

/// g = maximize ? -grad : grad;  g += weight_decay p;  v = alpha v + (1 - alpha) g g
/// centered: a += (1 - alpha) (g - a), d = sqrt(v - a a) + eps;  else: d = sqrt(v) + eps
/// momentum > 0: buf = momentum buf + g / d, p -= lr buf;  else: p -= lr g / d
struct RmspropArgs : ParamList {
  void* const* square_avgs = nullptr;       // v, dtype
  void* const* grad_avgs = nullptr;         // a, dtype; centered only
  void* const* momentum_buffers = nullptr;  // dtype; momentum only
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0.0;
  double momentum = 0.0;
  bool centered = false;
  bool maximize = false;
};

/// g = maximize ? -grad : grad;  g += weight_decay p;  v += g g
/// p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(v) + eps), t = steps[i].
struct AdagradArgs : ParamList {
  void* const* state_sums = nullptr;  // v, dtype
  double lr = 1e-2;
  double lr_decay = 0.0;
  double eps = 1e-10;
  double weight_decay = 0.0;
  bool maximize = false;
};

/// x *= factor * (factor_pointer ? *factor_pointer : 1). Where `non_finite` is given it becomes 1
/// when an element is infinite or NaN before the scaling, and is left alone otherwise. A factor of
/// 1 without a pointer writes nothing else: a look at the numbers alone.
struct ScaleListArgs {
  void* const* tensors = nullptr;
  const int64_t* sizes = nullptr;
  int64_t count = 0;
  DType dtype = kFloat32;
  double factor = 1.0;
  const float* factor_pointer = nullptr;  // device memory: clipping needs no synchronisation
  float* non_finite = nullptr;            // device memory
};

/// *total = sum of x^2 over all elements of all tensors, in double.
struct SumSquaresArgs {
  const void* const* tensors = nullptr;
  const int64_t* sizes = nullptr;
  int64_t count = 0;
  DType dtype = kFloat32;
  double* total = nullptr;  // device memory
};

/// Floating dtypes.
struct OptimKernels {
  bool takes_low_params = false;
  void (*sgd)(const SgdArgs&) = nullptr;
  void (*adam)(const AdamArgs&) = nullptr;
  void (*rmsprop)(const RmspropArgs&) = nullptr;
  void (*adagrad)(const AdagradArgs&) = nullptr;
  void (*scale)(const ScaleListArgs&) = nullptr;
  void (*sum_squares)(const SumSquaresArgs&) = nullptr;
};

/// The kernels for this machine's best instruction set.
TAUT_API OptimKernels optim_kernels_cpu();
TAUT_API OptimKernels optim_kernels_cuda();

}  // namespace taut::kernels
