#include "taut/nn/functional/norm.h"

#include <algorithm>
#include <limits>

#include "src/nn/functional/row_attributes.h"
#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/record.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {
namespace {

using autograd::BackwardContext;
using autograd::record;

void check_floating(const char* op, const Tensor& input) {
  ops::check_defined(op, "input", input);
  TAUT_CHECK(input.is_floating_point(), DTypeError, op, ": input must be floating; got ",
             input.dtype());
}

void* data_of(const Tensor& tensor) { return tensor.defined() ? tensor.data_ptr() : nullptr; }

// Parameters may be of the input's dtype or of the one it is computed in.
Tensor prepare_parameter(const char* op, const char* argument, const Tensor& parameter,
                         const Tensor& input, const Dims& shape) {
  if (!parameter.defined()) return Tensor();
  TAUT_CHECK(parameter.shape() == shape, ShapeError, op, ": ", argument, " has shape ",
             parameter.shape(), "; expected ", shape);
  TAUT_CHECK(
      parameter.dtype() == input.dtype() || parameter.dtype() == compute_dtype(input.dtype()),
      DTypeError, op, ": ", argument, " is ", parameter.dtype(), "; expected ", input.dtype());
  ops::check_same_device(op, input, parameter);
  return contiguous(parameter);
}

DType parameter_dtype(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  if (weight.defined()) return weight.dtype();
  return bias.defined() ? bias.dtype() : input.dtype();
}

// The dims after the first `kept` ones.
Dims trailing(const Tensor& tensor, int count) {
  Dims dims;
  for (int i = tensor.dim() - count; i < tensor.dim(); ++i) dims.push_back(i);
  return dims;
}

// Layer norm ------------------------------------------------------------------------------------

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

// Batch norm ------------------------------------------------------------------------------------

struct BatchNormAttributes {
  bool training;
  double eps;
};

void composed_batch_norm_backward(BackwardContext& context) {
  const auto& at = context.attributes<BatchNormAttributes>();
  const Tensor input = context.saved(0);
  const Tensor weight = context.saved(1);
  const Tensor& grad = context.grad();
  const Dims shape = channel_shape(input);
  Dims dims{0};
  for (int i = 2; i < input.dim(); ++i) dims.push_back(i);
  Tensor centre, rstd;
  if (at.training) {
    centre = input - mean(input, dims, /*keepdim=*/true);
    rstd = rsqrt(mean(centre * centre, dims, /*keepdim=*/true) + at.eps);
  } else {
    centre = input - reshape(context.saved(4), shape);
    rstd = rsqrt(reshape(context.saved(5), shape) + at.eps);
  }
  const Tensor normal = centre * rstd;
  if (context.needs(0)) {
    const Tensor h = weight.defined() ? grad * reshape(weight, shape) : grad;
    context.set(0, at.training
                       ? (h - mean(h, dims, true) - normal * mean(h * normal, dims, true)) * rstd
                       : h * rstd);
  }
  if (context.needs(1)) context.set(1, sum(grad * normal, dims));
  if (context.needs(2)) context.set(2, sum(grad, dims));
}

void batch_norm_backward(BackwardContext& context) {
  if (is_grad_enabled()) {
    composed_batch_norm_backward(context);
    return;
  }
  const auto& at = context.attributes<BatchNormAttributes>();
  const Tensor input = context.saved(0);
  const Tensor weight = context.saved(1);
  const Tensor saved_mean = context.saved(2);
  const Tensor saved_invstd = context.saved(3);
  const Tensor running_mean = context.saved(4);
  const Tensor running_var = context.saved(5);
  const Tensor grad = contiguous(context.grad());
  const int64_t channels = input.size(1);
  const DType parameters = weight.defined()         ? weight.dtype()
                           : running_mean.defined() ? running_mean.dtype()
                                                    : input.dtype();
  const TensorOptions options = TensorOptions(parameters).device(input.device());
  Tensor grad_input = context.needs(0) ? empty_like(input) : Tensor();
  Tensor grad_weight = context.needs(1) ? zeros({channels}, options) : Tensor();
  Tensor grad_bias = context.needs(2) ? zeros({channels}, options) : Tensor();
  kernels::BatchNormBackwardArgs args;
  args.grad_output = grad.data_ptr();
  args.input = input.data_ptr();
  args.weight = data_of(weight);
  args.saved_mean = data_of(saved_mean);
  args.saved_invstd = data_of(saved_invstd);
  args.running_mean = data_of(running_mean);
  args.running_var = data_of(running_var);
  args.grad_input = data_of(grad_input);
  args.grad_weight = data_of(grad_weight);
  args.grad_bias = data_of(grad_bias);
  args.dtype = input.dtype();
  args.parameter_dtype = parameters;
  args.batch = input.size(0);
  args.channels = channels;
  args.spatial = input.numel() / std::max<int64_t>(args.batch * channels, 1);
  args.is_training = at.training;
  args.eps = at.eps;
  if (input.numel() > 0) ops::kernels_of(input).norm.batch_norm_backward(args);
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

Tensor batch_norm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, bool training, double momentum,
                  double eps) {
  check_floating("batch_norm", input);
  TAUT_CHECK(input.dim() >= 2, ShapeError, "batch_norm: expected at least 2 dims; got shape ",
             input.shape());
  const int64_t channels = input.size(1);
  TAUT_CHECK(training || (running_mean.defined() && running_var.defined()), ValueError,
             "batch_norm: running statistics are needed outside training");
  const int64_t values = input.numel() / std::max<int64_t>(channels, 1);
  TAUT_CHECK(!training || values != 1, ValueError,
             "batch_norm: training needs more than one value a channel; got shape ", input.shape());
  const Tensor source = contiguous(input);
  const Tensor scale = prepare_parameter("batch_norm", "weight", weight, input, {channels});
  const Tensor shift = prepare_parameter("batch_norm", "bias", bias, input, {channels});
  const Tensor mean_now =
      prepare_parameter("batch_norm", "running_mean", running_mean, input, {channels});
  const Tensor var_now =
      prepare_parameter("batch_norm", "running_var", running_var, input, {channels});
  const DType compute = compute_dtype(source.dtype());
  Tensor output = ops::allocate(source.shape(), source.dtype(), source.device());
  Tensor saved_mean = training ? ops::allocate({channels}, compute, source.device()) : Tensor();
  Tensor saved_invstd = training ? ops::allocate({channels}, compute, source.device()) : Tensor();
  kernels::BatchNormArgs args;
  args.input = source.data_ptr();
  args.weight = data_of(scale);
  args.bias = data_of(shift);
  args.running_mean = data_of(mean_now);
  args.running_var = data_of(var_now);
  args.output = output.data_ptr();
  args.saved_mean = data_of(saved_mean);
  args.saved_invstd = data_of(saved_invstd);
  args.dtype = source.dtype();
  args.parameter_dtype = scale.defined() || shift.defined() ? parameter_dtype(source, scale, shift)
                         : mean_now.defined()               ? mean_now.dtype()
                                                            : source.dtype();
  args.batch = source.size(0);
  args.channels = channels;
  args.spatial = values / std::max<int64_t>(source.size(0), 1);
  args.is_training = training;
  args.momentum = momentum;
  args.eps = eps;
  if (output.numel() > 0) ops::kernels_of(source).norm.batch_norm(args);
  if (training && mean_now.defined()) {
    running_mean.storage()->bump_version();
    running_var.storage()->bump_version();
    const NoGradGuard no_grad;
    if (!mean_now.is_same(running_mean)) copy_(running_mean, mean_now);
    if (!var_now.is_same(running_var)) copy_(running_var, var_now);
  }
  const Tensor none;
  return record("batch_norm", {source, scale, shift}, output,
                {source, scale, saved_mean, saved_invstd, training ? none : mean_now,
                 training ? none : var_now},
                batch_norm_backward, BatchNormAttributes{training, eps});
}

namespace {

// The running statistics take up the means over the samples of each one's own.
void move_statistics(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                     double momentum) {
  const NoGradGuard no_grad;
  const Tensor values = to(input.detach(), running_mean.dtype());
  Dims within_sample;
  for (int i = 2; i < input.dim(); ++i) within_sample.push_back(i);
  lerp_(running_mean, mean(mean(values, within_sample), {0}), momentum);
  lerp_(running_var, mean(var(values, within_sample), {0}), momentum);
}

}  // namespace

Tensor instance_norm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                     const Tensor& weight, const Tensor& bias, bool use_input_stats,
                     double momentum, double eps) {
  check_floating("instance_norm", input);
  TAUT_CHECK(input.dim() >= 3, ShapeError, "instance_norm: expected at least 3 dims; got shape ",
             input.shape());
  const int64_t channels = input.size(1);
  TAUT_CHECK(running_mean.defined() == running_var.defined(), ValueError,
             "instance_norm: running_mean and running_var come together; got only ",
             running_mean.defined() ? "running_mean" : "running_var");
  prepare_parameter("instance_norm", "running_mean", running_mean, input, {channels});
  prepare_parameter("instance_norm", "running_var", running_var, input, {channels});
  if (!use_input_stats) {
    TAUT_CHECK(running_mean.defined(), ValueError,
               "instance_norm: use_input_stats=False needs running_mean and running_var");
    return batch_norm(input, running_mean, running_var, weight, bias, false, momentum, eps);
  }
  int64_t values = 1;
  for (int i = 2; i < input.dim(); ++i) values *= input.shape()[i];
  TAUT_CHECK(values != 1, ValueError,
             "instance_norm: one value a channel and sample has no variance; got shape ",
             input.shape());
  // Unlike group_norm it follows the dtype of its input, as batch_norm does.
  const ops::AutocastPause no_autocast;
  Tensor output = group_norm(input, channels, weight, bias, eps);
  if (running_mean.defined() && input.numel() > 0) {
    move_statistics(input, running_mean, running_var, momentum);
  }
  return output;
}

}  // namespace taut::nn::functional
