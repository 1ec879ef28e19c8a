#include <algorithm>

#include "src/nn/functional/image_layout.h"
#include "src/nn/functional/norm_arguments.h"
#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/nn/functional/norm.h"

namespace taut::nn::functional {
namespace {

using autograd::BackwardContext;
using autograd::record;

struct BatchNormAttributes {
  bool training;
  bool relu;
  double eps;
};

// What the tape keeps, in this order.
enum Saved { kInput, kWeight, kBias, kMean, kInvstd, kRunningMean, kRunningVar, kOutput };
// What the op is given, in this order.
enum Given { kGivenInput, kGivenWeight, kGivenBias, kGivenResidual };

// A channel is `spatial` neighbours in each of `batch` samples; where channels come last, a place
// of an image is a sample.
struct ChannelSizes {
  int64_t batch, channels, spatial;

  ChannelSizes(const Tensor& input, MemoryFormat format) : channels(input.size(1)) {
    const int64_t values = input.numel() / std::max<int64_t>(channels, 1);
    batch = format == MemoryFormat::channels_last ? values : input.size(0);
    spatial = values / std::max<int64_t>(batch, 1);
  }
};

Dims channel_shape(const Tensor& input) {
  Dims shape = Dims::filled(input.dim(), 1);
  shape[1] = input.size(1);
  return shape;
}

Dims all_but_channels(const Tensor& input) {
  Dims dims{0};
  for (int i = 2; i < input.dim(); ++i) dims.push_back(i);
  return dims;
}

// Other ops' way, which can itself be differentiated.
void composed_batch_norm_backward(BackwardContext& context) {
  const auto& at = context.attributes<BatchNormAttributes>();
  const Tensor input = context.saved(kInput);
  const Tensor weight = context.saved(kWeight);
  const Dims shape = channel_shape(input);
  const Dims dims = all_but_channels(input);
  Tensor centre, rstd;
  if (at.training) {
    centre = input - mean(input, dims, /*keepdim=*/true);
    rstd = rsqrt(mean(centre * centre, dims, /*keepdim=*/true) + at.eps);
  } else {
    centre = input - reshape(context.saved(kRunningMean), shape);
    rstd = rsqrt(reshape(context.saved(kRunningVar), shape) + at.eps);
  }
  const Tensor normal = centre * rstd;
  Tensor grad = context.grad();
  if (at.relu) {
    Tensor output = context.saved(kOutput);
    if (!output.defined()) {
      output = weight.defined() ? normal * reshape(weight, shape) : normal;
      const Tensor bias = context.saved(kBias);
      if (bias.defined()) output = output + reshape(bias, shape);
    }
    grad = where(gt(output, 0), grad, grad * 0);
  }
  if (context.needs(kGivenInput)) {
    const Tensor h = weight.defined() ? grad * reshape(weight, shape) : grad;
    context.set(kGivenInput,
                at.training
                    ? (h - mean(h, dims, true) - normal * mean(h * normal, dims, true)) * rstd
                    : h * rstd);
  }
  if (context.needs(kGivenWeight)) context.set(kGivenWeight, sum(grad * normal, dims));
  if (context.needs(kGivenBias)) context.set(kGivenBias, sum(grad, dims));
  if (context.needs(kGivenResidual)) context.set(kGivenResidual, grad);
}

void batch_norm_backward(BackwardContext& context) {
  if (is_grad_enabled()) {
    composed_batch_norm_backward(context);
    return;
  }
  const auto& at = context.attributes<BatchNormAttributes>();
  const Tensor input = context.saved(kInput);
  const Tensor weight = context.saved(kWeight);
  const Tensor running_mean = context.saved(kRunningMean);
  const MemoryFormat format = ops::memory_format_of(input);
  const ChannelSizes sizes(input, format);
  const Tensor grad = contiguous(context.grad(), format);
  const DType parameters = weight.defined()         ? weight.dtype()
                           : running_mean.defined() ? running_mean.dtype()
                                                    : input.dtype();
  const auto images = [&](bool wanted) {
    return wanted ? allocate_images(input.shape(), format, input) : Tensor();
  };
  const auto channels = [&](bool wanted) {
    if (!wanted) return Tensor();
    // The kernel writes all of them where there are elements.
    if (input.numel() > 0) return ops::allocate({sizes.channels}, parameters, input.device());
    return zeros({sizes.channels}, TensorOptions(parameters).device(input.device()));
  };
  const bool has_residual = context.saved(kOutput).defined();
  const Tensor grads[] = {images(context.needs(kGivenInput)), channels(context.needs(kGivenWeight)),
                          channels(context.needs(kGivenBias)), images(has_residual)};
  kernels::BatchNormBackwardArgs args;
  args.grad_output = grad.data_ptr();
  args.input = input.data_ptr();
  args.weight = data_of(weight);
  args.saved_mean = data_of(context.saved(kMean));
  args.saved_invstd = data_of(context.saved(kInvstd));
  args.running_mean = data_of(running_mean);
  args.running_var = data_of(context.saved(kRunningVar));
  args.grad_input = data_of(grads[kGivenInput]);
  args.grad_weight = data_of(grads[kGivenWeight]);
  args.grad_bias = data_of(grads[kGivenBias]);
  args.dtype = input.dtype();
  args.parameter_dtype = parameters;
  args.batch = sizes.batch;
  args.channels = sizes.channels;
  args.spatial = sizes.spatial;
  args.is_training = at.training;
  args.eps = at.eps;
  if (input.numel() > 0) {
    const kernels::NormKernels& kernels = ops::kernels_of(input).norm;
    if (at.relu) {
      kernels.batch_norm_relu_backward({.norm = args,
                                        .bias = data_of(context.saved(kBias)),
                                        .output = data_of(context.saved(kOutput)),
                                        .grad_residual = data_of(grads[kGivenResidual])});
    } else {
      kernels.batch_norm_backward(args);
    }
  }
  for (int i = 0; i < context.inputs(); ++i) {
    if (context.needs(i)) context.set(i, grads[i]);
  }
}

void check_batch_norm(const char* op, const Tensor& input, const Tensor& running_mean,
                      const Tensor& running_var, bool training) {
  check_floating(op, input);
  TAUT_CHECK(input.dim() >= 2, ShapeError, op, ": expected at least 2 dims; got shape ",
             input.shape());
  TAUT_CHECK(training || (running_mean.defined() && running_var.defined()), ValueError, op,
             ": running statistics are needed outside training");
  const int64_t values = input.numel() / std::max<int64_t>(input.size(1), 1);
  TAUT_CHECK(!training || values != 1, ValueError, op,
             ": training needs more than one value a channel; got shape ", input.shape());
}

// After a kernel moved `moved`, which is `running` or a copy of it.
void follow(const Tensor& running, const Tensor& moved) {
  running.storage()->bump_version();
  const NoGradGuard no_grad;
  if (!moved.is_same(running)) copy_(running, moved);
}

// What is put on the tape: batch norm, or with relu what stands behind it, too.
struct BatchNormCall {
  const char* op;  // what the user called
  const Tensor &running_mean, &running_var, &weight, &bias;
  bool training;
  double momentum, eps;
  bool relu = false;
  const Tensor& residual;  // of the input's layout and dtype; may be undefined
};

Tensor run_batch_norm(const Tensor& source, MemoryFormat format, const BatchNormCall& call) {
  const TraceScope scope(ScopeKind::op, call.op);
  const ChannelSizes sizes(source, format);
  const auto parameter = [&](const char* name, const Tensor& tensor) {
    return prepare_parameter(call.op, name, tensor, source, {sizes.channels});
  };
  const Tensor scale = parameter("weight", call.weight);
  const Tensor shift = parameter("bias", call.bias);
  const Tensor mean_now = parameter("running_mean", call.running_mean);
  const Tensor var_now = parameter("running_var", call.running_var);
  const auto statistic = [&] {
    return call.training
               ? ops::allocate({sizes.channels}, compute_dtype(source.dtype()), source.device())
               : Tensor();
  };
  const Tensor saved_mean = statistic(), saved_invstd = statistic();
  Tensor output = allocate_images(source.shape(), format, source);
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
  args.batch = sizes.batch;
  args.channels = sizes.channels;
  args.spatial = sizes.spatial;
  args.is_training = call.training;
  args.momentum = call.momentum;
  args.eps = call.eps;
  if (output.numel() > 0) {
    const kernels::NormKernels& kernels = ops::kernels_of(source).norm;
    if (call.relu) {
      kernels.batch_norm_relu({.norm = args, .residual = data_of(call.residual)});
    } else {
      kernels.batch_norm(args);
    }
  }
  if (call.training && mean_now.defined()) follow(call.running_mean, mean_now);
  if (call.training && var_now.defined()) follow(call.running_var, var_now);
  const Tensor none;
  return record(call.relu ? "batch_norm_relu" : "batch_norm", {source, scale, shift, call.residual},
                output,
                {source, scale, call.relu ? shift : none, saved_mean, saved_invstd,
                 call.training ? none : mean_now, call.training ? none : var_now,
                 call.residual.defined() ? output : none},
                batch_norm_backward, BatchNormAttributes{call.training, call.relu, call.eps});
}

}  // namespace

Tensor batch_norm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, bool training, double momentum,
                  double eps) {
  check_batch_norm("batch_norm", input, running_mean, running_var, training);
  const MemoryFormat format = ops::memory_format_of(input);
  const Tensor none;
  return run_batch_norm(contiguous(input, format), format,
                        {.op = "batch_norm",
                         .running_mean = running_mean,
                         .running_var = running_var,
                         .weight = weight,
                         .bias = bias,
                         .training = training,
                         .momentum = momentum,
                         .eps = eps,
                         .residual = none});
}

Tensor batch_norm_relu(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                       const Tensor& weight, const Tensor& bias, bool training, double momentum,
                       double eps, const Tensor& residual) {
  const char* op = "batch_norm_relu";
  check_batch_norm(op, input, running_mean, running_var, training);
  if (residual.defined()) {
    TAUT_CHECK(residual.shape() == input.shape(), ShapeError, op, ": residual has shape ",
               residual.shape(), "; expected the input's, ", input.shape());
    TAUT_CHECK(residual.dtype() == input.dtype(), DTypeError, op, ": residual is ",
               residual.dtype(), "; expected the input's dtype, ", input.dtype());
    ops::check_same_device(op, input, residual);
  }
  const MemoryFormat format = ops::memory_format_of(input);
  const Tensor source = contiguous(input, format);
  const bool is_fused = ops::kernels_of(source).norm.batch_norm_relu != nullptr &&
                        ChannelSizes(source, format).spatial == 1;
  const Tensor none;
  const Tensor added = is_fused && residual.defined() ? contiguous(residual, format) : none;
  Tensor output = run_batch_norm(source, format,
                                 {.op = op,
                                  .running_mean = running_mean,
                                  .running_var = running_var,
                                  .weight = weight,
                                  .bias = bias,
                                  .training = training,
                                  .momentum = momentum,
                                  .eps = eps,
                                  .relu = is_fused,
                                  .residual = added});
  if (is_fused) return output;
  return relu(residual.defined() ? output + residual : output);
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
