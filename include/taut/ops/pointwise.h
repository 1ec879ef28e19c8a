#pragma once
// Elementwise ops. Inputs broadcast and promote as in PyTorch; floating functions turn integers
// into the default dtype. A name with _ writes its result to its first input, which must be able to
// hold it. Every function throws ShapeError, DTypeError or DeviceError with the values when inputs
// do not go together.
//   Tensor y = where(x > 0, x, exp(x) - 1);

#include <optional>

#include "taut/core/scalar.h"
#include "taut/core/tensor_fwd.h"

namespace taut {

#define TAUT_UNARY(name, Functor)            \
  TAUT_API Tensor name(const Tensor& input); \
  TAUT_API const Tensor& name##_(const Tensor& input);
#include "taut/ops/lists/math.def"
#undef TAUT_UNARY

#define TAUT_PREDICATE(name, Functor) TAUT_API Tensor name(const Tensor& input);
#include "taut/ops/lists/predicate.def"
#undef TAUT_PREDICATE

#define TAUT_BINARY(name, Functor)                                          \
  TAUT_API Tensor name(const Tensor& input, const Tensor& other);           \
  TAUT_API Tensor name(const Tensor& input, const Scalar& other);           \
  TAUT_API Tensor name(const Scalar& input, const Tensor& other);           \
  TAUT_API const Tensor& name##_(const Tensor& input, const Tensor& other); \
  TAUT_API const Tensor& name##_(const Tensor& input, const Scalar& other);
#include "taut/ops/lists/arithmetic.def"
#undef TAUT_BINARY

#define TAUT_COMPARE(name, Functor)                                         \
  TAUT_API Tensor name(const Tensor& input, const Tensor& other);           \
  TAUT_API Tensor name(const Tensor& input, const Scalar& other);           \
  TAUT_API const Tensor& name##_(const Tensor& input, const Tensor& other); \
  TAUT_API const Tensor& name##_(const Tensor& input, const Scalar& other);
#include "taut/ops/lists/compare.def"
#undef TAUT_COMPARE

/// input + alpha * other.
TAUT_API Tensor add(const Tensor& input, const Tensor& other, const Scalar& alpha = 1);
TAUT_API Tensor add(const Tensor& input, const Scalar& other, const Scalar& alpha = 1);
TAUT_API const Tensor& add_(const Tensor& input, const Tensor& other, const Scalar& alpha = 1);
TAUT_API const Tensor& add_(const Tensor& input, const Scalar& other, const Scalar& alpha = 1);
/// input - alpha * other; bool is refused, as in PyTorch.
TAUT_API Tensor sub(const Tensor& input, const Tensor& other, const Scalar& alpha = 1);
TAUT_API Tensor sub(const Tensor& input, const Scalar& other, const Scalar& alpha = 1);
TAUT_API const Tensor& sub_(const Tensor& input, const Tensor& other, const Scalar& alpha = 1);
TAUT_API const Tensor& sub_(const Tensor& input, const Scalar& other, const Scalar& alpha = 1);
/// other - alpha * input.
TAUT_API Tensor rsub(const Tensor& input, const Tensor& other, const Scalar& alpha = 1);
TAUT_API Tensor rsub(const Tensor& input, const Scalar& other, const Scalar& alpha = 1);

/// How div rounds its quotient: not, towards zero, or down.
enum class RoundingMode : uint8_t { none, trunc, floor };
/// input / other: floating without a rounding mode, the promoted dtype with one.
TAUT_API Tensor div(const Tensor& input, const Tensor& other,
                    RoundingMode mode = RoundingMode::none);
TAUT_API Tensor div(const Tensor& input, const Scalar& other,
                    RoundingMode mode = RoundingMode::none);
TAUT_API const Tensor& div_(const Tensor& input, const Tensor& other,
                            RoundingMode mode = RoundingMode::none);
TAUT_API const Tensor& div_(const Tensor& input, const Scalar& other,
                            RoundingMode mode = RoundingMode::none);

/// ~input: the bits of integers, the opposite of bool. @throws DTypeError for floats.
TAUT_API Tensor bitwise_not(const Tensor& input);
TAUT_API const Tensor& bitwise_not_(const Tensor& input);

/// input itself; bool is refused.
TAUT_API Tensor positive(const Tensor& input);

/// To the nearest multiple of 10^-decimals, ties to even.
TAUT_API Tensor round(const Tensor& input, int64_t decimals = 0);
TAUT_API const Tensor& round_(const Tensor& input, int64_t decimals = 0);

/// NaN and the infinities replaced; an infinity without a replacement becomes the dtype's largest
/// or smallest number.
TAUT_API Tensor nan_to_num(const Tensor& input, double nan = 0.0, std::optional<double> posinf = {},
                           std::optional<double> neginf = {});

/// min(max(input, min), max). @throws ValueError when both bounds are missing.
TAUT_API Tensor clamp(const Tensor& input, const std::optional<Scalar>& min,
                      const std::optional<Scalar>& max = {});
TAUT_API Tensor clamp(const Tensor& input, const Tensor& min, const Tensor& max);
TAUT_API const Tensor& clamp_(const Tensor& input, const std::optional<Scalar>& min,
                              const std::optional<Scalar>& max = {});
TAUT_API const Tensor& clamp_(const Tensor& input, const Tensor& min, const Tensor& max);
TAUT_API Tensor clamp_min(const Tensor& input, const Tensor& min);
TAUT_API Tensor clamp_min(const Tensor& input, const Scalar& min);
TAUT_API Tensor clamp_max(const Tensor& input, const Tensor& max);
TAUT_API Tensor clamp_max(const Tensor& input, const Scalar& max);

/// input where condition, other elsewhere. condition is bool (or uint8).
TAUT_API Tensor where(const Tensor& condition, const Tensor& input, const Tensor& other);
TAUT_API Tensor where(const Tensor& condition, const Scalar& input, const Tensor& other);
TAUT_API Tensor where(const Tensor& condition, const Tensor& input, const Scalar& other);
TAUT_API Tensor where(const Tensor& condition, const Scalar& input, const Scalar& other);

/// input with `value` where the bool mask is true.
TAUT_API Tensor masked_fill(const Tensor& input, const Tensor& mask, const Scalar& value);
TAUT_API Tensor masked_fill(const Tensor& input, const Tensor& mask, const Tensor& value);
TAUT_API const Tensor& masked_fill_(const Tensor& input, const Tensor& mask, const Scalar& value);
TAUT_API const Tensor& masked_fill_(const Tensor& input, const Tensor& mask, const Tensor& value);

/// input + weight * (end - input).
TAUT_API Tensor lerp(const Tensor& input, const Tensor& end, const Tensor& weight);
TAUT_API Tensor lerp(const Tensor& input, const Tensor& end, const Scalar& weight);
TAUT_API const Tensor& lerp_(const Tensor& input, const Tensor& end, const Tensor& weight);
TAUT_API const Tensor& lerp_(const Tensor& input, const Tensor& end, const Scalar& weight);

/// input + value * tensor1 * tensor2, and input + value * tensor1 / tensor2.
TAUT_API Tensor addcmul(const Tensor& input, const Tensor& tensor1, const Tensor& tensor2,
                        const Scalar& value = 1);
TAUT_API const Tensor& addcmul_(const Tensor& input, const Tensor& tensor1, const Tensor& tensor2,
                                const Scalar& value = 1);
TAUT_API Tensor addcdiv(const Tensor& input, const Tensor& tensor1, const Tensor& tensor2,
                        const Scalar& value = 1);
TAUT_API const Tensor& addcdiv_(const Tensor& input, const Tensor& tensor1, const Tensor& tensor2,
                                const Scalar& value = 1);

/// log(input / (1 - input)), input clamped to [eps, 1 - eps] when eps is given.
TAUT_API Tensor logit(const Tensor& input, std::optional<double> eps = {});

/// The n-th derivative of digamma. @throws ValueError for n < 0.
TAUT_API Tensor polygamma(int64_t n, const Tensor& input);

/// |input - other| <= atol + rtol * |other|, element by element.
TAUT_API Tensor isclose(const Tensor& input, const Tensor& other, double rtol = 1e-5,
                        double atol = 1e-8, bool equal_nan = false);
TAUT_API bool allclose(const Tensor& input, const Tensor& other, double rtol = 1e-5,
                       double atol = 1e-8, bool equal_nan = false);
/// The same shape and elements.
TAUT_API bool equal(const Tensor& input, const Tensor& other);

/// The dtype that arithmetic between two tensors, or a tensor and a number, gives.
TAUT_API DType result_type(const Tensor& a, const Tensor& b);
TAUT_API DType result_type(const Tensor& a, const Scalar& b);

// Other names that PyTorch documents.
TAUT_API Tensor absolute(const Tensor& input);
TAUT_API Tensor greater(const Tensor& input, const Tensor& other);
TAUT_API Tensor greater_equal(const Tensor& input, const Tensor& other);
TAUT_API Tensor less(const Tensor& input, const Tensor& other);
TAUT_API Tensor less_equal(const Tensor& input, const Tensor& other);
TAUT_API Tensor not_equal(const Tensor& input, const Tensor& other);
TAUT_API Tensor multiply(const Tensor& input, const Tensor& other);
TAUT_API Tensor subtract(const Tensor& input, const Tensor& other);
TAUT_API Tensor divide(const Tensor& input, const Tensor& other);
TAUT_API Tensor negative(const Tensor& input);
TAUT_API Tensor clip(const Tensor& input, const std::optional<Scalar>& min,
                     const std::optional<Scalar>& max = {});

}  // namespace taut
