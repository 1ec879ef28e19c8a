#include "taut/nn/functional/mlp.h"

#include "src/ops/autocast.h"
#include "src/ops/composed_backward.h"
#include "src/ops/dispatch.h"
#include "src/ops/fused_product.h"
#include "taut/autograd/backward.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/nn/functional/activation.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {
namespace {

using autograd::BackwardContext;
using kernels::Activation;
using ops::as_rows;

Activation activation_named(std::string_view name) {
  if (name == "relu") return Activation::relu;
  if (name == "gelu_tanh") return Activation::gelu_tanh;
  TAUT_CHECK(name == "gelu", ValueError,
             "mlp: activation must be \"relu\", \"gelu\" or \"gelu_tanh\"; got \"", name, "\"");
  return Activation::gelu;
}

Tensor activate(const Tensor& input, Activation activation, bool recompute = false) {
  switch (activation) {
    case Activation::relu: return functional::relu(input);
    case Activation::gelu_tanh: return gelu(input, "tanh", recompute);
    default: return gelu(input, "none", recompute);
  }
}

// A layer's input, weight and bias go together.
void check_layer(const char* weight_name, const char* bias_name, const Tensor& input,
                 int64_t features, const Tensor& weight, const Tensor& bias) {
  const auto check_operand = [&](const char* name, const Tensor& tensor) {
    ops::check_same_device("mlp", input, tensor);
    TAUT_CHECK(tensor.dtype() == input.dtype(), DTypeError, "mlp: ", name, " is ", tensor.dtype(),
               "; expected ", input.dtype());
  };
  ops::check_defined("mlp", weight_name, weight);
  check_operand(weight_name, weight);
  TAUT_CHECK(weight.dim() == 2 && weight.shape()[1] == features, ShapeError, "mlp: ", weight_name,
             " has shape ", weight.shape(), "; expected two dims, the second of ", features);
  if (!bias.defined()) return;
  check_operand(bias_name, bias);
  TAUT_CHECK(bias.dim() == 1 && bias.shape()[0] == weight.shape()[0], ShapeError,
             "mlp: ", bias_name, " has shape ", bias.shape(), "; expected (", weight.shape()[0],
             ",)");
}

void check_mlp(const Tensor& input, const Tensor& weight1, const Tensor& weight2,
               const Tensor& bias1, const Tensor& bias2) {
  ops::check_defined("mlp", "input", input);
  TAUT_CHECK(input.is_floating_point(), DTypeError, "mlp: input must be floating; got ",
             input.dtype());
  TAUT_CHECK(input.dim() >= 1, ShapeError, "mlp: input needs at least one dim; got shape ",
             input.shape());
  check_layer("weight1", "bias1", input, input.shape().back(), weight1, bias1);
  check_layer("weight2", "bias2", input, weight1.shape()[0], weight2, bias2);
}

struct MlpAttributes {
  Activation activation;
};

// What a node saves; the five inputs come first.
enum Saved { kInput, kWeight1, kWeight2, kBias1, kBias2, kKept, kHidden };

// Rows, fresh and off the tape, in the shape that all dims but the last have in `tensor`.
Tensor in_shape_of(const Tensor& tensor, Tensor rows) {
  Dims shape = tensor.shape();
  shape.back() = rows.shape().back();
  rows.impl()->set_layout(Layout::contiguous(shape));
  return rows;
}

Tensor composed_mlp(const Tensor& input, const Tensor& weight1, const Tensor& weight2,
                    const Tensor& bias1, const Tensor& bias2, Activation activation,
                    bool recompute = false) {
  return linear(activate(linear(input, weight1, bias1), activation, recompute), weight2, bias2);
}

// grad_x = grad_y activation'(x) by the activation's own derivative. ReLU's is the same at its
// output, which is what there is of it.
Tensor activation_gradient(const Tensor& grad, const Tensor& at, Activation activation) {
  const EnableGradGuard enable_grad;
  const Tensor input = at.detach().requires_grad_();
  const Tensor output = activate(input, activation);
  return autograd::grad(TensorList(&output, 1), TensorList(&input, 1), TensorList(&grad, 1))[0];
}

// The gradient of what goes into the activation.
Tensor inner_gradient(BackwardContext& context, const Tensor& grad, Activation activation) {
  const Tensor weight = context.saved(kWeight2);
  if (activation == Activation::relu) {
    return activation_gradient(mm(grad, weight), context.saved(kHidden), activation);
  }
  const Tensor kept = context.saved(kKept);
  Tensor fused = ops::fused_activation_gradient(grad, weight, kept, activation);
  if (fused.defined()) return fused;
  return activation_gradient(mm(grad, weight), kept, activation);
}

// The activation's output, as it was saved or made again.
Tensor hidden_layer(BackwardContext& context, Activation activation) {
  const Tensor hidden = context.saved(kHidden);
  return hidden.defined() ? hidden : activate(context.saved(kKept), activation);
}

void set_layer_gradients(BackwardContext& context, int weight, int bias, const Tensor& grad,
                         const Tensor& input) {
  if (!context.needs(weight) && !context.needs(bias)) return;
  const ops::LayerGradients gradients =
      ops::layer_gradients(grad, input, context.needs(weight), context.needs(bias));
  if (context.needs(weight)) context.set(weight, gradients.weight);
  if (context.needs(bias)) context.set(bias, gradients.bias);
}

// y = h W2^T + b2, h = f(x W1^T + b1): the second layer as linear's; then with g = (grad_y W2) f'
// the first one as linear's by g.
void mlp_backward(BackwardContext& context) {
  const Activation activation = context.attributes<MlpAttributes>().activation;
  if (is_grad_enabled()) {
    return ops::composed_backward(context, 5, [&](TensorList in) {
      return composed_mlp(in[kInput], in[kWeight1], in[kWeight2], in[kBias1], in[kBias2],
                          activation);
    });
  }
  const Tensor grad = as_rows(context.grad());
  const Tensor hidden = context.needs(kWeight2) ? hidden_layer(context, activation) : Tensor();
  set_layer_gradients(context, kWeight2, kBias2, grad, hidden);
  if (!context.needs(kInput) && !context.needs(kWeight1) && !context.needs(kBias1)) return;

  const Tensor inner = inner_gradient(context, grad, activation);
  const Tensor input = context.needs(kWeight1) ? as_rows(context.saved(kInput)) : Tensor();
  set_layer_gradients(context, kWeight1, kBias1, inner, input);
  if (context.needs(kInput)) {
    context.set(kInput, in_shape_of(context.grad(), mm(inner, context.saved(kWeight1))));
  }
}

// The op in two passes; undefined where the device has no kernels for it.
Tensor fused_mlp(const Tensor& input, const Tensor& weight1, const Tensor& weight2,
                 const Tensor& bias1, const Tensor& bias2, Activation activation, bool recompute) {
  const bool inner_grad = autograd::is_recording({input, weight1, bias1});
  const bool weight2_grad = autograd::is_recording({weight2});
  // ReLU has no input to be made again from.
  const bool remakes = recompute && activation != Activation::relu;
  std::optional<ops::ActivatedProduct> hidden;
  Tensor output;
  {
    const NoGradGuard no_grad;
    hidden = ops::fused_activation(as_rows(input), weight1, bias1, activation,
                                   inner_grad || (remakes && weight2_grad));
    if (!hidden) return Tensor();
    output = linear(hidden->output, weight2, bias2);
  }
  output = in_shape_of(input, output);
  // The input serves second derivatives too, which all have use of it.
  const bool keeps_hidden =
      (weight2_grad && !remakes) || (inner_grad && activation == Activation::relu);
  return autograd::record("mlp", {input, weight1, weight2, bias1, bias2}, output,
                          {input, weight1, weight2, bias1, bias2, hidden->kept,
                           keeps_hidden ? hidden->output : ops::undefined()},
                          mlp_backward, MlpAttributes{activation});
}

}  // namespace

Tensor mlp(const Tensor& input, const Tensor& weight1, const Tensor& weight2, const Tensor& bias1,
           const Tensor& bias2, std::string_view activation, bool recompute) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return mlp(x...); }, input, weight1, weight2,
                               bias1, bias2, activation, recompute);
  }
  const TraceScope scope(ScopeKind::op, "mlp");
  const Activation kind = activation_named(activation);
  check_mlp(input, weight1, weight2, bias1, bias2);
  if (input.numel() > 0 && weight1.numel() > 0 && weight2.numel() > 0) {
    Tensor output = fused_mlp(input, weight1, weight2, bias1, bias2, kind, recompute);
    if (output.defined()) return output;
  }
  return composed_mlp(input, weight1, weight2, bias1, bias2, kind, recompute);
}

}  // namespace taut::nn::functional
