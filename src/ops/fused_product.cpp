#include "src/ops/fused_product.h"

#include "kernels/api/matmul.h"
#include "src/ops/allocate.h"
#include "src/ops/dispatch.h"
#include "src/ops/precision.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut::ops {
namespace {

using kernels::Activation;
using kernels::FusedGemmArgs;
using kernels::Fusion;

kernels::MatrixInput matrix(const Tensor& tensor) {
  return {tensor.data_ptr(), tensor.strides()[0], tensor.strides()[1], {}};
}

kernels::MatrixInput transposed_matrix(const Tensor& tensor) {
  return {tensor.data_ptr(), tensor.strides()[1], tensor.strides()[0], {}};
}

bool has_fused_products(const Tensor& tensor) {
  return kernels_of(tensor).matmul.fused_gemm != nullptr;
}

void trace_product(const FusedGemmArgs& args) {
  const auto m = static_cast<double>(args.m), n = static_cast<double>(args.n);
  const auto k = static_cast<double>(args.k);
  const double kept = args.kept != nullptr ? m * n : 0;
  trace_cost(2 * m * n * k,
             (m * k + k * n + m * n + kept) * static_cast<double>(item_size(args.dtype)));
}

// Whether the device made output = a @ b; what else it is to do stands in `args` already.
bool run(FusedGemmArgs& args, const kernels::MatrixInput& a, const kernels::MatrixInput& b,
         int64_t k, const Tensor& output) {
  const TraceScope scope(ScopeKind::op, "fused_gemm");
  args.dtype = output.dtype();
  args.m = output.shape()[0];
  args.n = output.shape()[1];
  args.k = k;
  args.a = a;
  args.b = b;
  args.c = output.data_ptr();
  args.precision = float32_precision();
  const bool is_done = kernels_of(output).matmul.fused_gemm(args);
  if (is_done && is_traced()) trace_product(args);
  return is_done;
}

std::optional<LayerGradients> fused_layer_gradients(const Tensor& grad, const Tensor& input) {
  if (!has_fused_products(grad)) return std::nullopt;
  const int64_t out = grad.shape()[1];
  LayerGradients gradients{allocate({out, input.shape()[1]}, grad.dtype(), grad.device()),
                           allocate({out}, grad.dtype(), grad.device())};
  FusedGemmArgs args;
  args.fusion = Fusion::row_sums;
  args.sums = gradients.bias.data_ptr();
  const bool is_done =
      run(args, transposed_matrix(grad), matrix(input), input.shape()[0], gradients.weight);
  return is_done ? std::optional(gradients) : std::nullopt;
}

}  // namespace

Tensor as_rows(const Tensor& tensor) {
  if (tensor.dim() == 2) return tensor;
  int64_t rows = 1;
  for (int i = 0; i + 1 < tensor.dim(); ++i) rows *= tensor.shape()[i];
  return reshape(tensor, {rows, tensor.shape().back()});
}

LayerGradients layer_gradients(const Tensor& grad, const Tensor& input, bool wants_weight,
                               bool wants_bias) {
  if (wants_weight && wants_bias && !is_grad_enabled()) {
    if (std::optional<LayerGradients> fused = fused_layer_gradients(grad, input)) return *fused;
  }
  LayerGradients gradients;
  if (wants_weight) gradients.weight = mm(transpose(grad, 0, 1), input);
  if (wants_bias) gradients.bias = grad;
  return gradients;
}

std::optional<ActivatedProduct> fused_activation(const Tensor& input, const Tensor& weight,
                                                 const Tensor& bias, Activation activation,
                                                 bool keeps) {
  // No device has the exact GELU, so that nothing need be allocated to learn it.
  if (!has_fused_products(input) || activation == Activation::gelu) return std::nullopt;
  const Tensor addend = bias.defined() ? contiguous(bias) : bias;
  ActivatedProduct product;
  product.output = allocate({input.shape()[0], weight.shape()[0]}, input.dtype(), input.device());
  if (keeps && activation != Activation::relu) {
    product.kept = allocate(product.output.shape(), input.dtype(), input.device());
  }
  FusedGemmArgs args;
  args.fusion = Fusion::activation;
  args.activation = activation;
  args.bias = addend.defined() ? addend.data_ptr() : nullptr;
  args.kept = product.kept.defined() ? product.kept.data_ptr() : nullptr;
  const bool is_done =
      run(args, matrix(input), transposed_matrix(weight), input.shape()[1], product.output);
  return is_done ? std::optional(product) : std::nullopt;
}

Tensor fused_activation_gradient(const Tensor& grad, const Tensor& weight, const Tensor& kept,
                                 Activation activation) {
  if (!has_fused_products(grad)) return Tensor();
  const Tensor gradient =
      allocate({grad.shape()[0], weight.shape()[1]}, grad.dtype(), grad.device());
  FusedGemmArgs args;
  args.fusion = Fusion::activation_gradient;
  args.activation = activation;
  args.kept = kept.data_ptr();
  return run(args, matrix(grad), matrix(weight), weight.shape()[0], gradient) ? gradient : Tensor();
}

}  // namespace taut::ops
