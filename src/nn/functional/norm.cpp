#include "taut/nn/functional/norm.h"

#include <algorithm>

#include "src/nn/functional/norm_arguments.h"
#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {
namespace {

using autograd::BackwardContext;
using autograd::record;

// Group norm ------------------------------------------------------------------------------------

struct GroupNormAttributes {
  int64_t groups;
  double eps;
};

Dims channel_shape(const Tensor& input) {
  Dims shape = Dims::filled(input.dim(), 1);
  shape[1] = input.size(1);
  return shape;
}

void group_norm_backward(BackwardContext& context) {
  const auto& at = context.attributes<GroupNormAttributes>();
  const Tensor input = context.saved(0);
  const Tensor weight = context.saved(1);
  const Dims shape = input.shape();
  if (is_grad_enabled()) {
    const Dims grouped{shape[0], at.groups, -1};
    const Tensor x = reshape(input, grouped);
    const Tensor centre = x - mean(x, {2}, /*keepdim=*/true);
    const Tensor rstd = rsqrt(mean(centre * centre, {2}, /*keepdim=*/true) + at.eps);
    const Tensor normal = centre * rstd;
    const Tensor& grad = context.grad();
    if (context.needs(0)) {
      const Tensor h =
          reshape(weight.defined() ? grad * reshape(weight, channel_shape(input)) : grad, grouped);
      const Tensor inner = h - mean(h, {2}, true) - normal * mean(h * normal, {2}, true);
      context.set(0, reshape(inner * rstd, shape));
    }
    const Dims flat{shape[0], shape[1], -1};
    const Tensor rows = reshape(grad, flat);
    if (context.needs(1)) context.set(1, sum(rows * reshape(normal, flat), {0, 2}));
    if (context.needs(2)) context.set(2, sum(rows, {0, 2}));
    return;
  }
  const Tensor grad = contiguous(context.grad());
  const DType parameters = weight.defined() ? weight.dtype() : input.dtype();
  const TensorOptions options = TensorOptions(parameters).device(input.device());
  Tensor grad_input = context.needs(0) ? empty_like(input) : Tensor();
  Tensor grad_weight = context.needs(1) ? zeros({shape[1]}, options) : Tensor();
  Tensor grad_bias = context.needs(2) ? zeros({shape[1]}, options) : Tensor();
  kernels::GroupNormBackwardArgs args;
  args.grad_output = grad.data_ptr();
  args.input = input.data_ptr();
  args.mean = context.saved(2).data_ptr();
  args.rstd = context.saved(3).data_ptr();
  args.weight = data_of(weight);
  args.grad_input = data_of(grad_input);
  args.grad_weight = data_of(grad_weight);
  args.grad_bias = data_of(grad_bias);
  args.dtype = input.dtype();
  args.parameter_dtype = parameters;
  args.batch = shape[0];
  args.channels = shape[1];
  args.spatial = input.numel() / std::max<int64_t>(shape[0] * shape[1], 1);
  args.groups = at.groups;
  if (input.numel() > 0) ops::kernels_of(input).norm.group_norm_backward(args);
  for (int i = 0; i < 3; ++i) {
    if (context.needs(i)) context.set(i, i == 0 ? grad_input : i == 1 ? grad_weight : grad_bias);
  }
}

}  // namespace

Tensor group_norm(const Tensor& input, int64_t num_groups, const Tensor& weight, const Tensor& bias,
                  double eps) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return group_norm(x...); }, input, num_groups,
                           weight, bias, eps);
  }
  const TraceScope scope(ScopeKind::op, "group_norm");
  check_floating("group_norm", input);
  TAUT_CHECK(input.dim() >= 2, ShapeError, "group_norm: expected at least 2 dims; got shape ",
             input.shape());
  const int64_t channels = input.size(1);
  TAUT_CHECK(num_groups > 0 && channels % num_groups == 0, ValueError, "group_norm: ", channels,
             " channels do not split into ", num_groups, " groups");
  const Tensor source = contiguous(input);
  const Tensor scale = prepare_parameter("group_norm", "weight", weight, input, {channels});
  const Tensor shift = prepare_parameter("group_norm", "bias", bias, input, {channels});
  const DType compute = compute_dtype(source.dtype());
  const int64_t batch = source.size(0);
  Tensor output = ops::allocate(source.shape(), source.dtype(), source.device());
  Tensor means = ops::allocate({batch, num_groups}, compute, source.device());
  Tensor rstds = ops::allocate({batch, num_groups}, compute, source.device());
  kernels::GroupNormArgs args;
  args.input = source.data_ptr();
  args.weight = data_of(scale);
  args.bias = data_of(shift);
  args.output = output.data_ptr();
  args.mean = means.data_ptr();
  args.rstd = rstds.data_ptr();
  args.dtype = source.dtype();
  args.parameter_dtype = parameter_dtype(source, scale, shift);
  args.batch = batch;
  args.channels = channels;
  args.spatial = source.numel() / std::max<int64_t>(batch * channels, 1);
  args.groups = num_groups;
  args.eps = eps;
  if (output.numel() > 0) ops::kernels_of(source).norm.group_norm(args);
  return record("group_norm", {source, scale, shift}, output, {source, scale, means, rstds},
                group_norm_backward, GroupNormAttributes{num_groups, eps});
}

}  // namespace taut::nn::functional
