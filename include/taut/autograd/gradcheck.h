#pragma once
// Derivatives against finite differences.
//   gradcheck([](TensorList in) { return Tensors{exp(in[0])}; }, {x});   // x in float64

#include "taut/base/callback.h"
#include "taut/core/tensor.h"

namespace taut::autograd {

using TensorFunction = Callback<Tensors(TensorList inputs)>;

struct GradcheckOptions {
  double eps = 1e-6;  // the step of the central difference
  double atol = 1e-5;
  double rtol = 1e-3;
  bool raise_exception = true;
};

/// Compares the derivatives of `function` at `inputs` with central differences, for every element
/// of every input that requires grad and every element of every floating output.
/// @throws AutogradError that names input, output and both Jacobians' entry where they differ,
/// unless raise_exception is off; ValueError when no input requires grad.
TAUT_API bool gradcheck(const TensorFunction& function, Tensors inputs,
                        const GradcheckOptions& options = {});

/// The same for the derivative of the derivative: gradcheck of grad(function) with respect to the
/// inputs and to random grad_outputs (a fixed seed draws them).
TAUT_API bool gradgradcheck(const TensorFunction& function, Tensors inputs,
                            const GradcheckOptions& options = {});

}  // namespace taut::autograd
