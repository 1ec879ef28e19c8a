// The elementwise functions of one tensor.

#include <cmath>
#include <limits>

#include "src/ops/dispatch.h"
#include "src/ops/pointwise.h"
#include "taut/nn/functional/activation.h"
#include "taut/ops/ops.h"

namespace taut {

using ops::apply;
using ops::apply_in_place;
using ops::Pointwise;

#define TAUT_UNARY(name, Functor)                                              \
  Tensor name(const Tensor& input) { return apply(Pointwise::Functor, {input}); } \
  const Tensor& name##_(const Tensor& input) {                                 \
    return apply_in_place(Pointwise::Functor, {input});                        \
  }                                                                            \
  Tensor Tensor::name() const { return taut::name(*this); }                    \
  const Tensor& Tensor::name##_() const { return taut::name##_(*this); }
#include "taut/ops/lists/math.def"
#undef TAUT_UNARY

#define TAUT_PREDICATE(name, Functor)                                          \
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
  return apply_in_place(Pointwise::Round, {input},
                        {std::pow(10.0, static_cast<double>(std::abs(decimals))),
                         decimals < 0 ? 1.0 : 0.0});
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
  return apply(Pointwise::NanToNum, {input}, {nan, posinf.value_or(bound), neginf.value_or(-bound)});
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

namespace nn::functional {

#define TAUT_ACTIVATION(name, Functor) \
  Tensor name(const Tensor& input) { return apply(Pointwise::Functor, {input}); }
#include "taut/ops/lists/activation.def"
#undef TAUT_ACTIVATION

Tensor relu(const Tensor& input) { return taut::relu(input); }
Tensor sigmoid(const Tensor& input) { return taut::sigmoid(input); }
Tensor tanh(const Tensor& input) { return taut::tanh(input); }

Tensor leaky_relu(const Tensor& input, double negative_slope) {
  return apply(Pointwise::LeakyRelu, {input}, {negative_slope});
}

Tensor elu(const Tensor& input, double alpha) { return apply(Pointwise::Elu, {input}, {alpha}); }

Tensor celu(const Tensor& input, double alpha) {
  TAUT_CHECK(alpha != 0, ValueError, "celu: alpha cannot be 0");
  return apply(Pointwise::Celu, {input}, {alpha});
}

Tensor gelu(const Tensor& input, std::string_view approximate) {
  TAUT_CHECK(approximate == "none" || approximate == "tanh", ValueError,
             "gelu: approximate must be \"none\" or \"tanh\"; got \"", approximate, "\"");
  return apply(approximate == "tanh" ? Pointwise::GeluTanh : Pointwise::Gelu, {input});
}

Tensor hardtanh(const Tensor& input, double min_val, double max_val) {
  TAUT_CHECK(min_val <= max_val, ValueError, "hardtanh: min_val ", min_val, " is above max_val ",
             max_val);
  return apply(Pointwise::Hardtanh, {input}, {min_val, max_val});
}

Tensor threshold(const Tensor& input, double threshold_value, double value) {
  return apply(Pointwise::Threshold, {input}, {threshold_value, value});
}

Tensor softplus(const Tensor& input, double beta, double threshold_value) {
  return apply(Pointwise::Softplus, {input}, {beta, threshold_value});
}

Tensor softshrink(const Tensor& input, double lambd) {
  TAUT_CHECK(lambd >= 0, ValueError, "softshrink: lambd cannot be negative; got ", lambd);
  return apply(Pointwise::Softshrink, {input}, {lambd});
}

Tensor hardshrink(const Tensor& input, double lambd) {
  return apply(Pointwise::Hardshrink, {input}, {lambd});
}

Tensor prelu(const Tensor& input, const Tensor& weight) {
  TAUT_CHECK(weight.numel() == 1 || (input.dim() >= 2 && weight.numel() == input.size(1)) ||
                 (input.dim() == 1 && weight.numel() == input.size(0)),
             ShapeError, "prelu: weight has ", weight.numel(), " slopes; expected 1 or the ",
             "channels of an input of shape ", input.shape());
  Tensor slope = weight;
  if (weight.numel() > 1 && input.dim() > 2) {
    Dims shape = Dims::filled(input.dim(), 1);
    shape[1] = weight.numel();
    slope = reshape(weight, shape);
  }
  return apply(Pointwise::Prelu, {input, slope});
}

}  // namespace nn::functional
}  // namespace taut
