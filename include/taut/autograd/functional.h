#pragma once
// Derivatives of functions of tensors.
//   Tensor h = hessian([](TensorList in) { return Tensors{pow(in[0], 3).sum()}; }, {x})[0][0];

#include <utility>
#include <vector>

#include "taut/autograd/gradcheck.h"

namespace taut::autograd {

/// The outputs at `inputs`, and v-transposed times the Jacobian for each input. `v` has the
/// outputs' shapes; it may be left out for one output of one element.
TAUT_API std::pair<Tensors, Tensors> vjp(const TensorFunction& function, Tensors inputs,
                                         TensorList v = {}, bool create_graph = false);

/// The outputs, and the Jacobian times v for each output, as the derivative of the vjp by its own
/// argument (Townsend's double-backward trick). `v` has the inputs' shapes.
TAUT_API std::pair<Tensors, Tensors> jvp(const TensorFunction& function, Tensors inputs,
                                         TensorList v = {}, bool create_graph = false);

/// jacobian[i][j] = d output i / d input j, of the output's shape followed by the input's.
TAUT_API std::vector<Tensors> jacobian(const TensorFunction& function, Tensors inputs,
                                       bool create_graph = false);

/// hessian[i][j] = d^2 output / d input i d input j, of the two inputs' shapes one after the other.
/// @throws ValueError unless the function gives one tensor of one element.
TAUT_API std::vector<Tensors> hessian(const TensorFunction& function, Tensors inputs,
                                      bool create_graph = false);

}  // namespace taut::autograd
