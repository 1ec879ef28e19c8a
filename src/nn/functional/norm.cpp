#include "taut/nn/functional/norm.h"

#include <algorithm>
#include <limits>

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

// The dims after the first `kept` ones.
Dims trailing(const Tensor& tensor, int count) {
  Dims dims;
  for (int i = tensor.dim() - count; i < tensor.dim(); ++i) dims.push_back(i);
  return dims;
}

// Layer norm ------------------------------------------------------------------------------------

struct LayerNormAttributes {
  int normalized_dims;
  double eps;
};

// The same derivative as ops: x^ = (x - mean) rstd, h = grad_y weight,
// grad_x = rstd (h - mean(h) - x^ mean(h x^)); without the mean for RMS norm.
void composed_row_norm_backward(BackwardContext& context, bool centered) {
  const auto& at = context.attributes<LayerNormAttributes>();
  const Tensor input = context.saved(0);
  const Tensor weight = context.saved(1);
  const Tensor& grad = context.grad();
  const Dims dims = trailing(input, at.normalized_dims);
  const Tensor centre = centered ? input - mean(input, dims, /*keepdim=*/true) : input;
  const Tensor rstd = rsqrt(mean(centre * centre, dims, /*keepdim=*/true) + at.eps);
  const Tensor normal = centre * rstd;
  if (context.needs(0)) {
    const Tensor h = weight.defined() ? grad * weight : grad;
    Tensor inner = h - normal * mean(h * normal, dims, /*keepdim=*/true);
    if (centered) inner = inner - mean(h, dims, /*keepdim=*/true);
    context.set(0, inner * rstd);
  }
  if (context.inputs() > 1 && context.needs(1)) context.set(1, grad * normal);
  if (context.inputs() > 2 && context.needs(2)) context.set(2, grad);
}

struct RowSizes {
  int64_t rows = 1, cols = 1;
};

RowSizes row_sizes(const Tensor& input, int normalized_dims) {
  RowSizes sizes;
  for (int i = 0; i < input.dim(); ++i) {
    (i < input.dim() - normalized_dims ? sizes.rows : sizes.cols) *= input.shape()[i];
  }
  return sizes;
}

void row_norm_backward(BackwardContext& context, bool centered) {
  if (is_grad_enabled()) {
    composed_row_norm_backward(context, centered);
    return;
  }
  const auto& at = context.attributes<LayerNormAttributes>();
  const Tensor input = contiguous(context.saved(0));
  const Tensor weight = context.saved(1);
  const Tensor mean_saved = centered ? context.saved(2) : Tensor();
  const Tensor rstd = context.saved(3);
  const Tensor grad = contiguous(context.grad());
  const RowSizes sizes = row_sizes(input, at.normalized_dims);
  Dims shape;
  for (int i = input.dim() - at.normalized_dims; i < input.dim(); ++i) {
    shape.push_back(input.shape()[i]);
  }
  const DType parameters = weight.defined() ? weight.dtype() : input.dtype();
  const bool wants_weight = context.inputs() > 1 && context.needs(1);
  const bool wants_bias = context.inputs() > 2 && context.needs(2);
  Tensor grad_input = context.needs(0) ? empty_like(input) : Tensor();
  Tensor grad_weight =
      wants_weight ? zeros(shape, TensorOptions(parameters).device(input.device())) : Tensor();
  Tensor grad_bias =
      wants_bias ? zeros(shape, TensorOptions(parameters).device(input.device())) : Tensor();
  kernels::LayerNormBackwardArgs args;
  args.grad_output = grad.data_ptr();
  args.input = input.data_ptr();
  args.mean = data_of(mean_saved);
  args.rstd = rstd.data_ptr();
  args.weight = data_of(weight);
  args.grad_input = data_of(grad_input);
  args.grad_weight = data_of(grad_weight);
  args.grad_bias = data_of(grad_bias);
  args.dtype = input.dtype();
  args.parameter_dtype = parameters;
  args.rows = sizes.rows;
  args.cols = sizes.cols;
  const auto& norm = ops::kernels_of(input).norm;
  if (input.numel() > 0) {
    (centered ? norm.layer_norm_backward : norm.rms_norm_backward)(args);
  }
  if (grad_input.defined()) context.set(0, grad_input);
  if (wants_weight) context.set(1, grad_weight);
  if (wants_bias) context.set(2, grad_bias);
}

void layer_norm_backward(BackwardContext& context) { row_norm_backward(context, true); }
void rms_norm_backward(BackwardContext& context) { row_norm_backward(context, false); }

void check_normalized_shape(const char* op, const Tensor& input, const Dims& shape) {
  TAUT_CHECK(shape.rank() >= 1, ShapeError, op, ": normalized_shape needs at least one size");
  bool matches = input.dim() >= shape.rank();
  for (int i = 0; matches && i < shape.rank(); ++i) {
    matches = input.shape()[input.dim() - shape.rank() + i] == shape[i];
  }
  TAUT_CHECK(matches, ShapeError, op, ": normalized_shape ", shape,
             " does not match the last dims of an input of shape ", input.shape());
}

Tensor row_norm(const char* op, const Tensor& input, const Dims& shape, const Tensor& weight,
                const Tensor& bias, double eps, bool centered) {
  const TraceScope scope(ScopeKind::op, op);
  check_floating(op, input);
  check_normalized_shape(op, input, shape);
  const Tensor source = contiguous(input);
  const Tensor scale = prepare_parameter(op, "weight", weight, input, shape);
  const Tensor shift = prepare_parameter(op, "bias", bias, input, shape);
  TAUT_CHECK(!scale.defined() || !shift.defined() || scale.dtype() == shift.dtype(), DTypeError, op,
             ": weight and bias have different dtypes");
  const RowSizes sizes = row_sizes(source, shape.rank());
  const DType compute = compute_dtype(source.dtype());
  Tensor output = ops::allocate(source.shape(), source.dtype(), source.device());
  Tensor means = centered ? ops::allocate({sizes.rows}, compute, source.device()) : Tensor();
  Tensor rstds = ops::allocate({sizes.rows}, compute, source.device());
  kernels::LayerNormArgs args;
  args.input = source.data_ptr();
  args.weight = data_of(scale);
  args.bias = data_of(shift);
  args.output = output.data_ptr();
  args.mean = data_of(means);
  args.rstd = rstds.data_ptr();
  args.dtype = source.dtype();
  args.parameter_dtype = parameter_dtype(source, scale, shift);
  args.rows = sizes.rows;
  args.cols = sizes.cols;
  args.eps = eps;
  const auto& norm = ops::kernels_of(source).norm;
  if (output.numel() > 0) (centered ? norm.layer_norm : norm.rms_norm)(args);
  return record(op, {source, scale, shift}, output, {source, scale, means, rstds},
                centered ? layer_norm_backward : rms_norm_backward,
                LayerNormAttributes{shape.rank(), eps});
}

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

Tensor layer_norm(const Tensor& input, const Dims& normalized_shape, const Tensor& weight,
                  const Tensor& bias, double eps) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return layer_norm(x...); }, input,
                           normalized_shape, weight, bias, eps);
  }
  return row_norm("layer_norm", input, normalized_shape, weight, bias, eps, true);
}

Tensor rms_norm(const Tensor& input, const Dims& normalized_shape, const Tensor& weight,
                std::optional<double> eps) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return rms_norm(x...); }, input, normalized_shape,
                           weight, eps);
  }
  check_floating("rms_norm", input);
  const double smallest = compute_dtype(input.dtype()) == kFloat64
                              ? std::numeric_limits<double>::epsilon()
                              : std::numeric_limits<float>::epsilon();
  return row_norm("rms_norm", input, normalized_shape, weight, Tensor(), eps.value_or(smallest),
                  false);
}

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
