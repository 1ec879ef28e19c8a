#include "taut/nn/functional/activation.h"

#include "src/ops/autocast.h"
#include "src/ops/pointwise.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {

using ops::apply;
using ops::Pointwise;

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

Tensor gelu(const Tensor& input, std::string_view approximate, bool recompute) {
  TAUT_CHECK(approximate == "none" || approximate == "tanh", ValueError,
             "gelu: approximate must be \"none\" or \"tanh\"; got \"", approximate, "\"");
  const Pointwise op = approximate == "tanh" ? Pointwise::GeluTanh : Pointwise::Gelu;
  return recompute ? ops::apply_recomputed(op, input) : apply(op, {input});
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
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return prelu(x...); }, input, weight);
  }
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

}  // namespace taut::nn::functional
