#pragma once
// What the normalisations ask of their arguments.

#include "src/ops/dispatch.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {

inline void check_floating(const char* op, const Tensor& input) {
  ops::check_defined(op, "input", input);
  TAUT_CHECK(input.is_floating_point(), DTypeError, op, ": input must be floating; got ",
             input.dtype());
}

inline void* data_of(const Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr() : nullptr;
}

/// Parameters may be of the input's dtype or of the one it is computed in. Undefined ones stay so.
inline Tensor prepare_parameter(const char* op, const char* argument, const Tensor& parameter,
                                const Tensor& input, const Dims& shape) {
  if (!parameter.defined()) return Tensor();
  TAUT_CHECK(parameter.shape() == shape, ShapeError, op, ": ", argument, " has shape ",
             parameter.shape(), "; expected ", shape);
  TAUT_CHECK(
      parameter.dtype() == input.dtype() || parameter.dtype() == compute_dtype(input.dtype()),
      DTypeError, op, ": ", argument, " is ", parameter.dtype(), "; expected ", input.dtype());
  ops::check_same_device(op, input, parameter);
  return contiguous(parameter);
}

inline DType parameter_dtype(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  if (weight.defined()) return weight.dtype();
  return bias.defined() ? bias.dtype() : input.dtype();
}

}  // namespace taut::nn::functional
