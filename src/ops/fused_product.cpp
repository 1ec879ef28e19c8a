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

void trace_product(const FusedGemmArgs& args) {
  const auto m = static_cast<double>(args.m), n = static_cast<double>(args.n);
  const auto k = static_cast<double>(args.k);
  const double kept = args.kept != nullptr ? m * n : 0;
  trace_cost(2 * m * n * k,
             (m * k + k * n + m * n + kept) * static_cast<double>(item_size(args.dtype)));
}

// a @ b with (k, n) `b`, in the dtype of `on`, which is on their device.
FusedGemmArgs product(Fusion fusion, const kernels::MatrixInput& a, const kernels::MatrixInput& b,
                      int64_t m, int64_t n, int64_t k, const Tensor& on) {
  FusedGemmArgs args;
  args.fusion = fusion;
  args.dtype = on.dtype();
  args.m = m;
  args.n = n;
  args.k = k;
  args.a = a;
  args.b = b;
  args.precision = float32_precision();
  return args;
}

// Asked before anything is allocated for the results.
bool is_fused(const FusedGemmArgs& args, const Tensor& on) {
  const kernels::MatmulKernels& kernels = kernels_of(on).matmul;
  return kernels.fuses != nullptr && kernels.fuses(args);
}

// Whether the device made output = a @ b, with all else that stands in `args`.
bool run(FusedGemmArgs& args, const Tensor& output) {
  const TraceScope scope(ScopeKind::op, "fused_gemm");
  args.c = output.data_ptr();
  const bool is_done = kernels_of(output).matmul.fused_gemm(args);
  if (is_done && is_traced()) trace_product(args);
  return is_done;
}

std::optional<LayerGradients> fused_layer_gradients(const Tensor& grad, const Tensor& input) {
  const int64_t out = grad.shape()[1], in = input.shape()[1];
  FusedGemmArgs args = product(Fusion::row_sums, transposed_matrix(grad), matrix(input), out, in,
                               input.shape()[0], grad);
  if (!is_fused(args, grad)) return std::nullopt;
  LayerGradients gradients{allocate({out, in}, grad.dtype(), grad.device()),
                           allocate({out}, grad.dtype(), grad.device())};
  args.sums = gradients.bias.data_ptr();
  return run(args, gradients.weight) ? std::optional(gradients) : std::nullopt;
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
  FusedGemmArgs args = product(Fusion::activation, matrix(input), transposed_matrix(weight),
                               input.shape()[0], weight.shape()[0], input.shape()[1], input);
  args.activation = activation;
  args.keeps = keeps && activation != Activation::relu;
  if (!is_fused(args, input)) return std::nullopt;
  const Tensor addend = bias.defined() ? contiguous(bias) : bias;
  ActivatedProduct result;
  result.output = allocate({args.m, args.n}, input.dtype(), input.device());
  if (args.keeps) result.kept = allocate({args.m, args.n}, input.dtype(), input.device());
  args.bias = addend.defined() ? addend.data_ptr() : nullptr;
  args.kept = result.kept.defined() ? result.kept.data_ptr() : nullptr;
  return run(args, result.output) ? std::optional(result) : std::nullopt;
}

Tensor fused_activation_gradient(const Tensor& grad, const Tensor& weight, const Tensor& kept,
                                 Activation activation) {
  FusedGemmArgs args = product(Fusion::activation_gradient, matrix(grad), matrix(weight),
                               grad.shape()[0], weight.shape()[1], weight.shape()[0], grad);
  args.activation = activation;
  args.kept = kept.data_ptr();
  if (!is_fused(args, grad)) return Tensor();
  const Tensor gradient = allocate({args.m, args.n}, grad.dtype(), grad.device());
  return run(args, gradient) ? gradient : Tensor();
}

}  // namespace taut::ops
