// The elementwise functions of two tensors and more.

#include <algorithm>

#include "src/ops/dispatch.h"
#include "src/ops/pointwise.h"
#include "taut/autograd/record.h"
#include "taut/core/scalar_range.h"
#include "taut/ops/ops.h"

namespace taut {

using ops::apply;
using ops::apply_in_place;
using ops::Pointwise;

namespace {

bool is_whole(const Tensor& value) { return value.defined() && !value.is_floating_point(); }
bool is_whole(const Scalar& value) { return !is_floating_point(value.dtype()); }

// On a GPU the answer would have to be waited for: there a zero passes, and gives 0.
bool has_zero(const Tensor& value) {
  return value.device().is_cpu() && !all(value).item().to_bool();
}
bool has_zero(const Scalar& value) { return !value.to_bool(); }

template <class A, class B>
void check_shapes(const char*, const A&, const B&) {}
void check_shapes(const char* op, const Tensor& input, const Tensor& other) {
  broadcast_shapes(op, input.shape(), other.shape());
}

// Integers have no number to stand for x / 0.
template <class A, class B>
void check_divisor(const char* op, const A& input, const B& other) {
  if (!is_whole(input) || !is_whole(other)) return;
  check_shapes(op, input, other);
  TAUT_CHECK(!has_zero(other), ValueError, op, ": division of integers by zero");
}

template <class A, class B>
void check_exponent(const char*, const A&, const B&) {}
void check_exponent(const char* op, const Tensor& input, const Scalar& exponent) {
  if (!is_whole(input) || !is_whole(exponent)) return;
  TAUT_CHECK(exponent.to_double() >= 0, ValueError, op, ": integers to the negative power ",
             exponent.to_double(), " are no integers; make the input floating");
}

/// Refuses operands of integers that have no result.
template <Pointwise which, class A, class B>
void check_operands(const char* op, const A& input, const B& other) {
  if constexpr (which == Pointwise::FloorDivide || which == Pointwise::Remainder ||
                which == Pointwise::Fmod) {
    check_divisor(op, input, other);
  } else if constexpr (which == Pointwise::Pow) {
    check_exponent(op, input, other);
  }
}

}  // namespace

#define TAUT_BINARY(name, Functor)                                                                 \
  Tensor name(const Tensor& input, const Tensor& other) {                                          \
    check_operands<Pointwise::Functor>(#name, input, other);                                       \
    return apply(Pointwise::Functor, {input, other});                                              \
  }                                                                                                \
  Tensor name(const Tensor& input, const Scalar& other) {                                          \
    check_operands<Pointwise::Functor>(#name, input, other);                                       \
    return apply(Pointwise::Functor, {input, other});                                              \
  }                                                                                                \
  Tensor name(const Scalar& input, const Tensor& other) {                                          \
    check_operands<Pointwise::Functor>(#name, input, other);                                       \
    return apply(Pointwise::Functor, {input, other});                                              \
  }                                                                                                \
  const Tensor& name##_(const Tensor& input, const Tensor& other) {                                \
    check_operands<Pointwise::Functor>(#name, input, other);                                       \
    return apply_in_place(Pointwise::Functor, {input, other});                                     \
  }                                                                                                \
  const Tensor& name##_(const Tensor& input, const Scalar& other) {                                \
    check_operands<Pointwise::Functor>(#name, input, other);                                       \
    return apply_in_place(Pointwise::Functor, {input, other});                                     \
  }                                                                                                \
  Tensor Tensor::name(const Tensor& other) const { return taut::name(*this, other); }              \
  Tensor Tensor::name(const Scalar& other) const { return taut::name(*this, other); }              \
  const Tensor& Tensor::name##_(const Tensor& other) const { return taut::name##_(*this, other); } \
  const Tensor& Tensor::name##_(const Scalar& other) const { return taut::name##_(*this, other); }
#include "taut/ops/lists/arithmetic.def"
#undef TAUT_BINARY

#define TAUT_COMPARE(name, Functor)                                                   \
  Tensor name(const Tensor& input, const Tensor& other) {                             \
    return apply(Pointwise::Functor, {input, other});                                 \
  }                                                                                   \
  Tensor name(const Tensor& input, const Scalar& other) {                             \
    return apply(Pointwise::Functor, {input, other});                                 \
  }                                                                                   \
  const Tensor& name##_(const Tensor& input, const Tensor& other) {                   \
    return apply_in_place(Pointwise::Functor, {input, other});                        \
  }                                                                                   \
  const Tensor& name##_(const Tensor& input, const Scalar& other) {                   \
    return apply_in_place(Pointwise::Functor, {input, other});                        \
  }                                                                                   \
  Tensor Tensor::name(const Tensor& other) const { return taut::name(*this, other); } \
  Tensor Tensor::name(const Scalar& other) const { return taut::name(*this, other); }
#include "taut/ops/lists/compare.def"
#undef TAUT_COMPARE

Tensor add(const Tensor& input, const Tensor& other, const Scalar& alpha) {
  return apply(Pointwise::Add, {input, other}, {alpha.to_double()});
}
Tensor add(const Tensor& input, const Scalar& other, const Scalar& alpha) {
  return apply(Pointwise::Add, {input, other}, {alpha.to_double()});
}
const Tensor& add_(const Tensor& input, const Tensor& other, const Scalar& alpha) {
  return apply_in_place(Pointwise::Add, {input, other}, {alpha.to_double()});
}
const Tensor& add_(const Tensor& input, const Scalar& other, const Scalar& alpha) {
  return apply_in_place(Pointwise::Add, {input, other}, {alpha.to_double()});
}
Tensor sub(const Tensor& input, const Tensor& other, const Scalar& alpha) {
  return apply(Pointwise::Sub, {input, other}, {alpha.to_double()});
}
Tensor sub(const Tensor& input, const Scalar& other, const Scalar& alpha) {
  return apply(Pointwise::Sub, {input, other}, {alpha.to_double()});
}
const Tensor& sub_(const Tensor& input, const Tensor& other, const Scalar& alpha) {
  return apply_in_place(Pointwise::Sub, {input, other}, {alpha.to_double()});
}
const Tensor& sub_(const Tensor& input, const Scalar& other, const Scalar& alpha) {
  return apply_in_place(Pointwise::Sub, {input, other}, {alpha.to_double()});
}
Tensor rsub(const Tensor& input, const Tensor& other, const Scalar& alpha) {
  return apply(Pointwise::Sub, {other, input}, {alpha.to_double()});
}
Tensor rsub(const Tensor& input, const Scalar& other, const Scalar& alpha) {
  return apply(Pointwise::Sub, {other, input}, {alpha.to_double()});
}

namespace {

template <class Other>
Tensor divide_rounded(const Tensor& input, const Other& other, RoundingMode mode) {
  if (mode == RoundingMode::none) return true_divide(input, other);
  if (mode == RoundingMode::floor) return floor_divide(input, other);
  const DType dtype = result_type(input, other);
  // The quotient of what is left after the remainder is exact, so that no rounding error decides.
  if (is_floating_point(dtype)) return trunc(true_divide(input, other));
  return floor_divide(sub(to(input, dtype), fmod(input, other)), other);
}

}  // namespace

Tensor div(const Tensor& input, const Tensor& other, RoundingMode mode) {
  if (mode != RoundingMode::none) check_divisor("div", input, other);
  return divide_rounded(input, other, mode);
}
Tensor div(const Tensor& input, const Scalar& other, RoundingMode mode) {
  if (mode != RoundingMode::none) check_divisor("div", input, other);
  return divide_rounded(input, other, mode);
}
const Tensor& div_(const Tensor& input, const Tensor& other, RoundingMode mode) {
  if (mode == RoundingMode::none) return true_divide_(input, other);
  return copy_(input, div(input, other, mode));
}
const Tensor& div_(const Tensor& input, const Scalar& other, RoundingMode mode) {
  if (mode == RoundingMode::none) return true_divide_(input, other);
  return copy_(input, div(input, other, mode));
}

Tensor bitwise_not(const Tensor& input) {
  TAUT_CHECK(!input.is_floating_point(), DTypeError, "bitwise_not: not defined for ", input.dtype(),
             "; expected an integer type or bool");
  if (input.dtype() == kBool) return logical_not(input);
  return bitwise_xor(input, Scalar(-1));
}
const Tensor& bitwise_not_(const Tensor& input) { return copy_(input, bitwise_not(input)); }

namespace {

void check_bounds(const std::optional<Scalar>& min, const std::optional<Scalar>& max) {
  TAUT_CHECK(min || max, ValueError, "clamp: at least one of min and max must be given");
}

// A whole bound in the dtype of integers, which may be too narrow for it: -1 bounds uint8 at 0.
Scalar bound_of(const Tensor& input, const Scalar& bound) {
  if (!is_whole(input) || input.dtype() == kBool || input.dtype() == kInt64) return bound;
  if (bound.dtype() != kInt64) return bound;
  const int bits = static_cast<int>(8 * item_size(input.dtype()));
  const bool is_signed = input.dtype() != kUInt8;
  const int64_t most = (int64_t{1} << (is_signed ? bits - 1 : bits)) - 1;
  return std::clamp(bound.to_int64(), is_signed ? -most - 1 : 0, most);
}

}  // namespace

Tensor clamp(const Tensor& input, const std::optional<Scalar>& min,
             const std::optional<Scalar>& max) {
  check_bounds(min, max);
  if (!max) return apply(Pointwise::ClampMin, {input, bound_of(input, *min)});
  if (!min) return apply(Pointwise::ClampMax, {input, bound_of(input, *max)});
  return apply(Pointwise::Clamp, {input, bound_of(input, *min), bound_of(input, *max)});
}
const Tensor& clamp_(const Tensor& input, const std::optional<Scalar>& min,
                     const std::optional<Scalar>& max) {
  check_bounds(min, max);
  if (!max) return apply_in_place(Pointwise::ClampMin, {input, bound_of(input, *min)});
  if (!min) return apply_in_place(Pointwise::ClampMax, {input, bound_of(input, *max)});
  return apply_in_place(Pointwise::Clamp, {input, bound_of(input, *min), bound_of(input, *max)});
}
Tensor clamp(const Tensor& input, const Tensor& min, const Tensor& max) {
  TAUT_CHECK(min.defined() || max.defined(), ValueError,
             "clamp: at least one of min and max must be given");
  if (!max.defined()) return clamp_min(input, min);
  if (!min.defined()) return clamp_max(input, max);
  return apply(Pointwise::Clamp, {input, min, max});
}
const Tensor& clamp_(const Tensor& input, const Tensor& min, const Tensor& max) {
  TAUT_CHECK(min.defined() || max.defined(), ValueError,
             "clamp: at least one of min and max must be given");
  if (!max.defined()) return apply_in_place(Pointwise::ClampMin, {input, min});
  if (!min.defined()) return apply_in_place(Pointwise::ClampMax, {input, max});
  return apply_in_place(Pointwise::Clamp, {input, min, max});
}
Tensor clamp_min(const Tensor& input, const Tensor& min) {
  return apply(Pointwise::ClampMin, {input, min});
}
Tensor clamp_min(const Tensor& input, const Scalar& min) {
  return apply(Pointwise::ClampMin, {input, bound_of(input, min)});
}
Tensor clamp_max(const Tensor& input, const Tensor& max) {
  return apply(Pointwise::ClampMax, {input, max});
}
Tensor clamp_max(const Tensor& input, const Scalar& max) {
  return apply(Pointwise::ClampMax, {input, bound_of(input, max)});
}
Tensor clip(const Tensor& input, const std::optional<Scalar>& min,
            const std::optional<Scalar>& max) {
  return clamp(input, min, max);
}

namespace {

void check_condition(const Tensor& condition) {
  TAUT_CHECK(condition.dtype() == kBool || condition.dtype() == kUInt8, DTypeError,
             "where: condition must be bool; got ", condition.dtype());
}

// The condition takes no part in type promotion: it comes in the dtype of the others.
template <class A, class B>
Tensor select_where(const Tensor& condition, const A& input, const B& other) {
  check_condition(condition);
  const ops::Input branches[] = {input, other};
  const DType dtype = ops::result_type(branches);
  if constexpr (std::is_same_v<A, Scalar>) check_holds("where", dtype, input);
  if constexpr (std::is_same_v<B, Scalar>) check_holds("where", dtype, other);
  if (dtype == kBool || dtype == kUInt8) {
    return apply(Pointwise::Where,
                 {condition.dtype() == dtype ? condition : to(condition, dtype), input, other});
  }
  return apply(Pointwise::Where, {condition, input, other});
}

}  // namespace

Tensor where(const Tensor& condition, const Tensor& input, const Tensor& other) {
  if (input.dtype() == kBool && other.dtype() == kBool && condition.dtype() == kUInt8) {
    return apply(Pointwise::Where, {to(condition, kBool), input, other});
  }
  return select_where(condition, input, other);
}
Tensor where(const Tensor& condition, const Scalar& input, const Tensor& other) {
  return select_where(condition, input, other);
}
Tensor where(const Tensor& condition, const Tensor& input, const Scalar& other) {
  return select_where(condition, input, other);
}
Tensor where(const Tensor& condition, const Scalar& input, const Scalar& other) {
  const ops::Input branches[] = {input, other};
  return where(condition, input, scalar_tensor(other, ops::result_type(branches)));
}

namespace {

void check_fill(const char* op, const Tensor& input, const Tensor& mask) {
  ops::check_defined(op, "input", input);
  ops::check_defined(op, "mask", mask);
  TAUT_CHECK(mask.dtype() == kBool, DTypeError, op, ": mask must be bool; got ", mask.dtype());
  broadcast_shapes(op, input.shape(), mask.shape());  // throws unless they fit
}

Tensor fill_where(const char* op, const Tensor& input, const Tensor& mask, const Scalar& value) {
  check_fill(op, input, mask);
  check_holds(op, input.dtype(), value);
  return apply(Pointwise::Where, {mask, scalar_tensor(value, input.options()), input});
}

Tensor fill_where(const char* op, const Tensor& input, const Tensor& mask, const Tensor& value) {
  check_fill(op, input, mask);
  TAUT_CHECK(value.dim() == 0, ShapeError, op, ": value must have no dims; got shape ",
             value.shape());
  // To read a number back from a GPU, the call would have to wait for it.
  if (value.is_cpu()) check_holds(op, input.dtype(), value.item());
  return apply(Pointwise::Where, {mask, to(value, input.dtype()), input});
}

}  // namespace

Tensor masked_fill(const Tensor& input, const Tensor& mask, const Scalar& value) {
  return fill_where("masked_fill", input, mask, value);
}
Tensor masked_fill(const Tensor& input, const Tensor& mask, const Tensor& value) {
  return fill_where("masked_fill", input, mask, value);
}
const Tensor& masked_fill_(const Tensor& input, const Tensor& mask, const Scalar& value) {
  mask.layout().broadcast_to("masked_fill_", input.shape());  // throws unless it fits
  return copy_(input, fill_where("masked_fill_", input, mask, value));
}
const Tensor& masked_fill_(const Tensor& input, const Tensor& mask, const Tensor& value) {
  mask.layout().broadcast_to("masked_fill_", input.shape());
  return copy_(input, fill_where("masked_fill_", input, mask, value));
}

Tensor lerp(const Tensor& input, const Tensor& end, const Tensor& weight) {
  return apply(Pointwise::Lerp, {input, end, weight});
}
Tensor lerp(const Tensor& input, const Tensor& end, const Scalar& weight) {
  return apply(Pointwise::Lerp, {input, end, weight});
}
const Tensor& lerp_(const Tensor& input, const Tensor& end, const Tensor& weight) {
  return apply_in_place(Pointwise::Lerp, {input, end, weight});
}
const Tensor& lerp_(const Tensor& input, const Tensor& end, const Scalar& weight) {
  return apply_in_place(Pointwise::Lerp, {input, end, weight});
}
Tensor addcmul(const Tensor& input, const Tensor& tensor1, const Tensor& tensor2,
               const Scalar& value) {
  return apply(Pointwise::Addcmul, {input, tensor1, tensor2}, {value.to_double()});
}
const Tensor& addcmul_(const Tensor& input, const Tensor& tensor1, const Tensor& tensor2,
                       const Scalar& value) {
  return apply_in_place(Pointwise::Addcmul, {input, tensor1, tensor2}, {value.to_double()});
}
Tensor addcdiv(const Tensor& input, const Tensor& tensor1, const Tensor& tensor2,
               const Scalar& value) {
  return apply(Pointwise::Addcdiv, {input, tensor1, tensor2}, {value.to_double()});
}
const Tensor& addcdiv_(const Tensor& input, const Tensor& tensor1, const Tensor& tensor2,
                       const Scalar& value) {
  return apply_in_place(Pointwise::Addcdiv, {input, tensor1, tensor2}, {value.to_double()});
}

Tensor isclose(const Tensor& input, const Tensor& other, double rtol, double atol, bool equal_nan) {
  TAUT_CHECK(input.dtype() == other.dtype(), DTypeError, "isclose: dtypes differ; got ",
             input.dtype(), " and ", other.dtype());
  TAUT_CHECK(rtol >= 0 && atol >= 0, ValueError,
             "isclose: tolerances cannot be negative; got rtol ", rtol, " and atol ", atol);
  Tensor close = eq(input, other);
  if (input.is_floating_point()) {
    if (equal_nan) close = logical_or(close, logical_and(isnan(input), isnan(other)));
    const Tensor difference = abs(sub(input, other));
    const Tensor near = le(difference, add(mul(abs(other), rtol), atol));
    // An infinite difference is no closeness, though an infinite tolerance would allow it.
    close = logical_or(close, logical_and(near, isfinite(difference)));
  } else if (input.dtype() != kBool && (rtol > 0 || atol > 0)) {
    const Tensor difference = abs(sub(to(input, kFloat64), to(other, kFloat64)));
    close = logical_or(close, le(difference, add(mul(abs(to(other, kFloat64)), rtol), atol)));
  }
  return close;
}

bool allclose(const Tensor& input, const Tensor& other, double rtol, double atol, bool equal_nan) {
  return all(isclose(input, other, rtol, atol, equal_nan)).item().to_bool();
}

bool equal(const Tensor& input, const Tensor& other) {
  ops::check_same_device("equal", input, other);
  return input.shape() == other.shape() && all(eq(input, other)).item().to_bool();
}

DType result_type(const Tensor& a, const Tensor& b) {
  const ops::Input inputs[] = {a, b};
  return ops::result_type(inputs);
}
DType result_type(const Tensor& a, const Scalar& b) {
  const ops::Input inputs[] = {a, b};
  return ops::result_type(inputs);
}

Tensor greater(const Tensor& input, const Tensor& other) { return gt(input, other); }
Tensor greater_equal(const Tensor& input, const Tensor& other) { return ge(input, other); }
Tensor less(const Tensor& input, const Tensor& other) { return lt(input, other); }
Tensor less_equal(const Tensor& input, const Tensor& other) { return le(input, other); }
Tensor not_equal(const Tensor& input, const Tensor& other) { return ne(input, other); }
Tensor multiply(const Tensor& input, const Tensor& other) { return mul(input, other); }
Tensor subtract(const Tensor& input, const Tensor& other) { return sub(input, other); }
Tensor divide(const Tensor& input, const Tensor& other) { return div(input, other); }

}  // namespace taut
