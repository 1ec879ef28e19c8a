#pragma once
// Products of a layer that a GPU makes in one pass with what stands beside them: the activation and
// the sums that are gradients of biases. All are of matrices and off the tape; each returns nothing
// where the device cannot, and the caller composes other ops.

#include <optional>

#include "kernels/api/epilogue.h"
#include "taut/core/tensor.h"

namespace taut::ops {

/// Rows of all batches one below the other: (..., n) as (rows, n).
Tensor as_rows(const Tensor& tensor);

/// The gradients of y = x weight^T + bias.
struct LayerGradients {
  Tensor weight;
  Tensor bias;
};

/// Those of (rows, in) `input` and (rows, out) `grad` that are wanted. On the tape when gradients
/// are; then, and where it costs nothing, `bias` still has the rows that the engine sums over.
LayerGradients layer_gradients(const Tensor& grad, const Tensor& input, bool wants_weight,
                               bool wants_bias);

struct ActivatedProduct {
  Tensor output;
  /// For fused_activation_gradient on the same device, when asked for. Undefined for ReLU, whose
  /// derivative is that at its output.
  Tensor kept;
};

/// activation(input @ weight^T + bias) of (rows, in), (out, in) and (out), which may be undefined.
std::optional<ActivatedProduct> fused_activation(const Tensor& input, const Tensor& weight,
                                                 const Tensor& bias, kernels::Activation activation,
                                                 bool keeps);

/// (grad @ weight) * activation' of (rows, out), (out, in) and what fused_activation kept;
/// undefined where the device cannot.
Tensor fused_activation_gradient(const Tensor& grad, const Tensor& weight, const Tensor& kept,
                                 kernels::Activation activation);

}  // namespace taut::ops
