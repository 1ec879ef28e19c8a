#pragma once
// Two linear layers with an activation between them, as one op: the inner half of a transformer's
// block. On a GPU the activation, its derivative and the gradients of the biases are made in the
// passes of the products.
//   y = F::mlp(x, fc1->weight, fc2->weight, fc1->bias, fc2->bias, "gelu_tanh");

#include <string_view>

#include "taut/base/macros.h"
#include "taut/core/tensor.h"

namespace taut::nn::functional {

/// linear(activation(linear(input, weight1, bias1)), weight2, bias2): input (..., in), weight1
/// (hidden, in), weight2 (out, hidden), biases (hidden) and (out) or undefined, all of one floating
/// dtype; gives (..., out). activation is "relu", "gelu" or "gelu_tanh", the approximation, which
/// is the one of the two that a GPU fuses.
/// With `recompute` the activation's output, the widest of what backward needs, is not saved but
/// made again from its input (Note [Recomputation]). Where a GPU fuses GELU, its output is made
/// from float32 and made again from `input`'s dtype, so that weight2's gradient is rounded
/// differently; elsewhere the numbers are the same. It has no use for "relu", which saves nothing
/// else.
/// @throws ValueError for another activation, ShapeError, DTypeError or DeviceError when the
/// tensors do not go together.
TAUT_API Tensor mlp(const Tensor& input, const Tensor& weight1, const Tensor& weight2,
                    const Tensor& bias1 = Tensor(), const Tensor& bias2 = Tensor(),
                    std::string_view activation = "gelu", bool recompute = false);

}  // namespace taut::nn::functional
