// The elementwise functions of one tensor.

#include <cmath>
#include <limits>

#include "src/ops/dispatch.h"
#include "src/ops/pointwise.h"
#include "taut/ops/ops.h"

namespace taut {

using ops::apply;
using ops::apply_in_place;
using ops::Pointwise;

namespace {

// Whether an op leaves this tensor what it is: whole numbers are rounded already.
template <Pointwise op>
bool is_whole(const Tensor& input) {
  if constexpr (op == Pointwise::Floor || op == Pointwise::Ceil || op == Pointwise::Trunc ||
                op == Pointwise::Round) {
    return input.defined() && !input.is_floating_point() && input.dtype() != kBool;
  }
  return false;
}

}  // namespace

#define TAUT_UNARY(name, Functor)                                 \
  Tensor name(const Tensor& input) {                              \
    if (is_whole<Pointwise::Functor>(input)) return clone(input); \
    return apply(Pointwise::Functor, {input});                    \
  }                                                               \
  const Tensor& name##_(const Tensor& input) {                    \
    if (is_whole<Pointwise::Functor>(input)) return input;        \
    return apply_in_place(Pointwise::Functor, {input});           \
  }                                                               \
  Tensor Tensor::name() const { return taut::name(*this); }       \
  const Tensor& Tensor::name##_() const { return taut::name##_(*this); }
#include "taut/ops/lists/math.def"
#undef TAUT_UNARY

#define TAUT_PREDICATE(name, Functor)                                             \
  Tensor name(const Tensor& input) { return apply(Pointwise::Functor, {input}); } \
  Tensor Tensor::name() const { return taut::name(*this); }
#include "taut/ops/lists/predicate.def"
#undef TAUT_PREDICATE

Tensor positive(const Tensor& input) {
  TAUT_CHECK(input.dtype() != kBool, DTypeError, "positive: not defined for bool");
  return input;
}

Tensor round(const Tensor& input, int64_t decimals) {
  if (!input.is_floating_point()) return clone(input);
  return apply(Pointwise::Round, {input},
               {std::pow(10.0, static_cast<double>(std::abs(decimals))), decimals < 0 ? 1.0 : 0.0});
}

const Tensor& round_(const Tensor& input, int64_t decimals) {
  if (is_whole<Pointwise::Round>(input)) return input;
  return apply_in_place(
      Pointwise::Round, {input},
      {std::pow(10.0, static_cast<double>(std::abs(decimals))), decimals < 0 ? 1.0 : 0.0});
}

namespace {

double largest(DType dtype) {
  switch (dtype) {
    case DType::float16: return 65504.0;
    case DType::bfloat16: return 3.3895313892515355e38;
    case DType::float64: return std::numeric_limits<double>::max();
    default: return std::numeric_limits<float>::max();
  }
}

}  // namespace

Tensor nan_to_num(const Tensor& input, double nan, std::optional<double> posinf,
                  std::optional<double> neginf) {
  if (!input.is_floating_point()) return clone(input);
  const double bound = largest(input.dtype());
  return apply(Pointwise::NanToNum, {input},
               {nan, posinf.value_or(bound), neginf.value_or(-bound)});
}

Tensor logit(const Tensor& input, std::optional<double> eps) {
  return apply(Pointwise::Logit, {input}, {eps.value_or(-1.0)});
}

Tensor polygamma(int64_t n, const Tensor& input) {
  TAUT_CHECK(n >= 0, ValueError, "polygamma: expected n >= 0; got ", n);
  if (n == 0) return digamma(input);
  return apply(Pointwise::Polygamma, {input}, {static_cast<double>(n)});
}

Tensor absolute(const Tensor& input) { return abs(input); }
Tensor negative(const Tensor& input) { return neg(input); }

}  // namespace taut
