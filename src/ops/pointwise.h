#pragma once
// Elementwise ops in one place: type promotion, broadcasting, the kernel, the tape. The public
// functions of taut/ops/ are calls of apply and apply_in_place with a functor's name.

#include <initializer_list>

#include "kernels/api/functor.h"
#include "kernels/api/pointwise.h"
#include "taut/core/tensor.h"

namespace taut::ops {

using kernels::Pointwise;

/// A tensor or a number. Refers to the tensor.
class Input {
 public:
  Input(const Tensor& tensor) : tensor_(&tensor) {}
  Input(const Scalar& scalar) : tensor_(nullptr), scalar_(scalar) {}
  bool is_scalar() const { return tensor_ == nullptr; }
  const Tensor& tensor() const { return *tensor_; }
  const Scalar& scalar() const { return scalar_; }

 private:
  const Tensor* tensor_;
  Scalar scalar_;
};
using Inputs = std::span<const Input>;

/// The dtype that arithmetic between these gives: tensors with dims count first, then tensors
/// without, then numbers, each only when its category (bool < integer < floating) is higher.
DType result_type(Inputs inputs);

/// functor(inputs...) element by element, broadcast, on the tape.
/// @throws ShapeError, DTypeError or DeviceError when the inputs do not go together.
TAUT_API Tensor apply(Pointwise op, std::initializer_list<Input> inputs,
                      std::initializer_list<double> parameters = {});

/// apply() of a function of one tensor without parameters, whose derivative reads that tensor. The
/// result is made again where it is saved for backward (Note [Recomputation]).
Tensor apply_recomputed(Pointwise op, const Tensor& input);

/// The same as apply(), written to inputs[0], which must be a tensor.
const Tensor& apply_in_place(Pointwise op, std::initializer_list<Input> inputs,
                             std::initializer_list<double> parameters = {});

/// What the tape keeps of an elementwise op beside tensors, and observers are shown.
struct PointwiseAttributes {
  Pointwise op;
  uint8_t scalar_mask;  // which inputs are numbers
  double parameters[kernels::kMaxPointwiseParameters];
  Scalar scalars[kernels::kMaxPointwiseInputs];
};

/// The name under which an observer is shown the derivative of a functor as one op, while
/// autograd::DerivativesAsOps is on. Its inputs are the operands of PointwiseArgs.
inline constexpr const char* kDerivativeName = "derivative";

struct DerivativeAttributes {
  Pointwise op;
  uint8_t derivative;   // by input derivative - 1
  uint8_t scalar_mask;  // which operands are numbers
  double parameters[kernels::kMaxPointwiseParameters];
  Scalar scalars[kernels::kMaxPointwiseInputs + 2];
};

/// What is known of a functor.
struct FunctorInfo {
  const char* name = nullptr;
  kernels::Domain domain{};
  kernels::Derivative derivative{};
  int arity = 0;
  unsigned needs[kernels::kMaxPointwiseInputs] = {};
  unsigned passes = 0;
  /// The derivatives as ops on tensors, for differentiating them again.
  Tensor (*vjp[kernels::kMaxPointwiseInputs])(const double* parameters,
                                              const Tensor* operands) = {};
};
TAUT_API const FunctorInfo& functor_info(Pointwise op);

}  // namespace taut::ops
