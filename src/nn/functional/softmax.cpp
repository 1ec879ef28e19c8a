#include "taut/nn/functional/softmax.h"

#include "src/nn/functional/row_attributes.h"
#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

using autograd::BackwardContext;
using autograd::record;
using nn::functional::SoftmaxAttributes;

// The kernels see (outer, dim, inner).
struct Split {
  int64_t outer = 1, dim = 1, inner = 1;
};

Split split_at(const Tensor& tensor, int at) {
  Split split;
  for (int i = 0; i < tensor.dim(); ++i) {
    (i < at ? split.outer : i == at ? split.dim : split.inner) *= tensor.shape()[i];
  }
  return split;
}

using Kernel = void (*)(const kernels::SoftmaxArgs&);
using BackwardKernel = void (*)(const kernels::SoftmaxBackwardArgs&);

Tensor run(Kernel kernel, const Tensor& input, int dim) {
  const NoGradGuard no_grad;
  const Tensor source = contiguous(input);
  Tensor output = ops::allocate(source.shape(), source.dtype(), source.device());
  const Split split = split_at(source, dim);
  if (output.numel() > 0) {
    kernel({.input = source.data_ptr(),
            .output = output.data_ptr(),
            .dtype = source.dtype(),
            .outer = split.outer,
            .dim = split.dim,
            .inner = split.inner});
  }
  return output;
}

Tensor run_backward(BackwardKernel kernel, const Tensor& grad, const Tensor& output, int dim) {
  const Tensor grad_output = contiguous(grad);
  const Tensor values = contiguous(output);
  Tensor grad_input = ops::allocate(values.shape(), values.dtype(), values.device());
  const Split split = split_at(values, dim);
  if (grad_input.numel() > 0) {
    kernel({.grad_output = grad_output.data_ptr(),
            .output = values.data_ptr(),
            .grad_input = grad_input.data_ptr(),
            .dtype = values.dtype(),
            .outer = split.outer,
            .dim = split.dim,
            .inner = split.inner});
  }
  return grad_input;
}

// grad_x = y (g - sum(g y))
void softmax_backward(BackwardContext& context) {
  const int dim = context.attributes<SoftmaxAttributes>().dim;
  const Tensor& grad = context.grad();
  const Tensor output = context.saved(0);
  if (is_grad_enabled()) {
    const Tensor weighted = grad * output;
    context.set(0, output.dim() == 0
                       ? weighted - output * weighted
                       : weighted - output * sum(weighted, Dims{dim}, /*keepdim=*/true));
    return;
  }
  context.set(0, run_backward(ops::kernels_of(grad).softmax.softmax_backward, grad, output, dim));
}

// grad_x = g - e^y sum(g)
void log_softmax_backward(BackwardContext& context) {
  const int dim = context.attributes<SoftmaxAttributes>().dim;
  const Tensor& grad = context.grad();
  const Tensor output = context.saved(0);
  if (is_grad_enabled()) {
    const Tensor total = output.dim() == 0 ? grad : sum(grad, Dims{dim}, /*keepdim=*/true);
    context.set(0, grad - exp(output) * total);
    return;
  }
  context.set(0,
              run_backward(ops::kernels_of(grad).softmax.log_softmax_backward, grad, output, dim));
}

Tensor floating(const char* op, const Tensor& input, std::optional<DType> dtype) {
  TAUT_CHECK(!dtype || is_floating_point(*dtype), DTypeError, op,
             ": expected a floating dtype; got ", *dtype);
  if (dtype) return to(input, *dtype);
  return input.is_floating_point() ? input : to(input, get_default_dtype());
}

}  // namespace

Tensor softmax(const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return softmax(x...); }, input, dim, dtype);
  }
  const TraceScope scope(ScopeKind::op, "softmax");
  ops::check_defined("softmax", "input", input);
  const Tensor source = floating("softmax", input, dtype);
  const int at = normalize_dim("softmax", dim, source.dim());
  const Tensor output = run(ops::kernels_of(source).softmax.softmax, source, at);
  return record("softmax", {source}, output, {output}, softmax_backward, SoftmaxAttributes{at});
}

Tensor log_softmax(const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return log_softmax(x...); }, input, dim, dtype);
  }
  const TraceScope scope(ScopeKind::op, "log_softmax");
  ops::check_defined("log_softmax", "input", input);
  const Tensor source = floating("log_softmax", input, dtype);
  const int at = normalize_dim("log_softmax", dim, source.dim());
  const Tensor output = run(ops::kernels_of(source).softmax.log_softmax, source, at);
  return record("log_softmax", {source}, output, {output}, log_softmax_backward,
                SoftmaxAttributes{at});
}

Tensor Tensor::softmax(int64_t dim, std::optional<DType> dtype) const {
  return taut::softmax(*this, dim, dtype);
}
Tensor Tensor::log_softmax(int64_t dim, std::optional<DType> dtype) const {
  return taut::log_softmax(*this, dim, dtype);
}

namespace nn::functional {

Tensor softmin(const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  return taut::softmax(neg(input), dim, dtype);
}

Tensor glu(const Tensor& input, int64_t dim) {
  const int at = normalize_dim("glu", dim, input.dim());
  TAUT_CHECK(input.dim() > 0 && input.shape()[at] % 2 == 0, ShapeError, "glu: dim ", dim,
             " must have an even size; got shape ", input.shape());
  const int64_t half = input.shape()[at] / 2;
  return mul(narrow(input, at, 0, half), taut::sigmoid(narrow(input, at, half, half)));
}

}  // namespace nn::functional
}  // namespace taut
