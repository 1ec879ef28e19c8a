#pragma once
// Bounds for gradients between backward and step, and parameters as one vector.

#include "taut/core/tensor.h"

namespace taut::nn::utils {

/// Scales the gradients of all parameters so that their norm, taken over all elements together, is
/// at most max_norm. Returns the norm before. Parameters without a gradient are passed over.
/// @throws ValueError for a norm that is not finite, with error_if_nonfinite.
TAUT_API Tensor clip_grad_norm_(TensorList parameters, double max_norm, double norm_type = 2.0,
                                bool error_if_nonfinite = false);
/// Clamps every element of the gradients to [-clip_value, clip_value].
TAUT_API void clip_grad_value_(TensorList parameters, double clip_value);
/// The norm of all elements of the tensors together.
TAUT_API Tensor get_total_norm(TensorList tensors, double norm_type = 2.0);

/// The elements of all parameters, one after the other.
TAUT_API Tensor parameters_to_vector(TensorList parameters);
/// The reverse, in place. @throws ShapeError unless the vector has as many elements as they.
TAUT_API void vector_to_parameters(const Tensor& vector, TensorList parameters);

}  // namespace taut::nn::utils
