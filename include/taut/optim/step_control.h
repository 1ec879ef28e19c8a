#pragma once
// What a gradient scaler (taut/amp/grad_scaler.h) tells an optimizer for one step. All of it stays
// on the device: the host need not wait to learn whether gradients were finite.

#include "taut/core/tensor.h"

namespace taut::optim {

struct StepControl {
  /// Gradients are multiplied by it first: 0-dim, float32. Undefined: they are taken as they are.
  Tensor grad_factor;
  /// Unless it is 0 the step changes nothing and does not count: 0-dim, float32.
  Tensor found_inf;
};

}  // namespace taut::optim
