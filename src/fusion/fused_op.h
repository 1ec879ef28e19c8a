#pragma once
// A call of generated kernels as an op: one node on the tape, whose backward is generated kernels,
// too.

#include "src/fusion/plan.h"
#include "src/fusion/trace.h"

namespace taut::fusion {

/// Runs the kernels of a plan that is ready, for inputs of its kind. `function`, which the plan was
/// made of, is run again for second derivatives.
Tensors run_fused(Plan& plan, TensorList inputs, const Function& function);

/// What the function is given of the inputs.
inline TensorList given_of(TensorList inputs, size_t referred) {
  return inputs.first(inputs.size() - referred);
}

}  // namespace taut::fusion
