// Batch norm on CUDA, by steps: see Note [Norms by steps].

#include "kernels/api/norm.h"
#include "kernels/norm/norm_steps_cuda.h"
#include "kernels/norm/parameter_cuda.cuh"

namespace taut::kernels {
namespace cuda {
namespace {

unsigned blocks_of(int64_t channels) {
  return static_cast<unsigned>((channels + kThreads - 1) / kThreads);
}

// What inference normalises with: the running statistics, 0 and 1 where there are none.
template <class T>
__global__ void __launch_bounds__(kThreads)
    recall_kernel(Parameter<T> running_mean, Parameter<T> running_var, int64_t channels, double eps,
                  Compute<T>* mean, Compute<T>* invstd) {
  wait_for_stream();
  using A = Compute<T>;
  const int64_t channel = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (channel >= channels) return;
  mean[channel] = running_mean.at(channel, A(0));
  const double variance = static_cast<double>(running_var.at(channel, A(1)));
  invstd[channel] = static_cast<A>(1.0 / sqrt(variance + eps));
}

// Two values of the compute dtype for each channel.
class ChannelPair {
 public:
  ChannelPair(int64_t channels, DType dtype)
      : bytes_((static_cast<size_t>(channels) * item_size(compute_dtype(dtype)) + 511) / 512 * 512),
        scratch_(2 * bytes_) {}
  void* first() const { return scratch_.data(); }
  void* second() const { return scratch_.as<char>() + bytes_; }

 private:
  size_t bytes_;
  taut::cuda::Scratch scratch_;
};

template <class Args>
void recall(const Args& args, const ChannelPair& to) {
  visit_floating("batch_norm", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Compute<T>;
    launch_kernel(recall_kernel<T>, {blocks_of(args.channels), kThreads},
                  {args.running_mean, args.parameter_dtype},
                  {args.running_var, args.parameter_dtype}, args.channels, args.eps,
                  static_cast<A*>(to.first()), static_cast<A*>(to.second()));
  });
}

template <class T>
struct Finish {
  const double* sums;  // (channels, 2): of g and g (x - mean)
  const Compute<T>* invstd;
  Parameter<T> weight;
  ParameterOut<T> grad_weight, grad_bias;
  int64_t channels;
  double count;
};

// The gradients of the parameters; slope and shift of grad_x = g invstd weight + (x - mean) slope +
// shift.
template <class T>
__global__ void __launch_bounds__(kThreads)
    finish_gradients_kernel(const __grid_constant__ Finish<T> of, Compute<T>* slope,
                            Compute<T>* shift) {
  wait_for_stream();
  using A = Compute<T>;
  const int64_t channel = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (channel >= of.channels) return;
  const double sum = of.sums[2 * channel], centered = of.sums[2 * channel + 1];
  const double invstd = static_cast<double>(of.invstd[channel]);
  of.grad_weight.set(channel, static_cast<A>(centered * invstd));
  of.grad_bias.set(channel, static_cast<A>(sum));
  const double scale = invstd * static_cast<double>(of.weight.at(channel, A(1)));
  shift[channel] = static_cast<A>(-scale * sum / of.count);
  slope[channel] = static_cast<A>(-scale * invstd * invstd * centered / of.count);
}

void clear(void* grad, const BatchNormBackwardArgs& args) {
  const size_t bytes = static_cast<size_t>(args.channels) * item_size(args.parameter_dtype);
  if (grad == nullptr || bytes == 0) return;
  check("batch_norm_backward", cudaMemsetAsync(grad, 0, bytes, stream()));
}

// What stands behind the norm, and where its gradients come from.
struct After {
  bool relu = false;
  const void* residual = nullptr;
};
struct AfterBackward {
  bool relu = false;
  const void* bias = nullptr;
  const void* output = nullptr;
  void* grad_residual = nullptr;
};

void run_batch_norm(const BatchNormArgs& args, const After& after) {
  const NormShape shape{args.batch, args.channels, args.spatial, 0};
  if (shape.numel() == 0) return;
  const ChannelPair kept(args.channels, args.dtype);
  void* mean = kept.first();
  void* invstd = kept.second();
  if (args.is_training) {
    if (args.saved_mean != nullptr) mean = args.saved_mean;
    if (args.saved_invstd != nullptr) invstd = args.saved_invstd;
    find_statistics({.dtype = args.dtype,
                     .shape = shape,
                     .input = args.input,
                     .mean = mean,
                     .rstd = invstd,
                     .eps = args.eps,
                     .running_mean = args.running_mean,
                     .running_var = args.running_var,
                     .parameter_dtype = args.parameter_dtype,
                     .momentum = args.momentum});
  } else if (shape.spatial != 1) {
    recall(args, kept);
  }
  if (shape.spatial == 1) {
    normalize_columns({.dtype = args.dtype,
                       .shape = shape,
                       .input = args.input,
                       .residual = after.residual,
                       .output = args.output,
                       .statistics = {.mean = args.is_training ? mean : nullptr,
                                      .rstd = invstd,
                                      .running_mean = args.running_mean,
                                      .running_var = args.running_var,
                                      .eps = args.eps,
                                      .weight = args.weight,
                                      .bias = args.bias,
                                      .parameter_dtype = args.parameter_dtype},
                       .relu = after.relu});
    check_launch("batch_norm");
    return;
  }
  normalize({.dtype = args.dtype,
             .shape = shape,
             .input = args.input,
             .output = args.output,
             .mean = mean,
             .rstd = invstd,
             .weight = args.weight,
             .bias = args.bias,
             .parameter_dtype = args.parameter_dtype});
  check_launch("batch_norm");
}

void run_batch_norm_backward(const BatchNormBackwardArgs& args, const AfterBackward& after) {
  const NormShape shape{args.batch, args.channels, args.spatial, 0};
  if (shape.numel() == 0) {
    clear(args.grad_weight, args);
    clear(args.grad_bias, args);
    return;
  }
  const ChannelPair recalled(args.channels, args.dtype), tilt(args.channels, args.dtype);
  const void* mean = args.saved_mean;
  const void* invstd = args.saved_invstd;
  if (!args.is_training) {
    recall(args, recalled);
    mean = recalled.first();
    invstd = recalled.second();
  }
  const ColumnStatistics statistics{.mean = mean,
                                    .rstd = invstd,
                                    .weight = args.weight,
                                    .bias = after.bias,
                                    .parameter_dtype = args.parameter_dtype};
  const bool has_residual = after.output != nullptr;
  if (args.is_training || args.grad_weight != nullptr || args.grad_bias != nullptr ||
      has_residual) {
    const taut::cuda::Scratch sums(static_cast<size_t>(2 * args.channels) * sizeof(double));
    sum_channels({.dtype = args.dtype,
                  .shape = shape,
                  .grad = args.grad_output,
                  .input = args.input,
                  .mean = mean,
                  .sums = sums.as<double>(),
                  .relu = {after.relu, statistics, after.output, after.grad_residual}});
    visit_floating("batch_norm_backward", args.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      using A = Compute<T>;
      const Finish<T> of{sums.as<double>(),
                         static_cast<const A*>(invstd),
                         {args.weight, args.parameter_dtype},
                         {args.grad_weight, args.parameter_dtype},
                         {args.grad_bias, args.parameter_dtype},
                         args.channels,
                         static_cast<double>(args.batch * args.spatial)};
      launch_kernel(finish_gradients_kernel<T>, {blocks_of(args.channels), kThreads}, of,
                    static_cast<A*>(tilt.first()), static_cast<A*>(tilt.second()));
    });
  }
  if (args.grad_input != nullptr && shape.spatial == 1) {
    write_column_gradient({.dtype = args.dtype,
                           .shape = shape,
                           .grad = has_residual ? after.grad_residual : args.grad_output,
                           .input = args.input,
                           .grad_input = args.grad_input,
                           .statistics = statistics,
                           .slope = args.is_training ? tilt.first() : nullptr,
                           .shift = args.is_training ? tilt.second() : nullptr,
                           .relu = after.relu && !has_residual});
  } else if (args.grad_input != nullptr) {
    write_gradient({.dtype = args.dtype,
                    .shape = shape,
                    .grad = args.grad_output,
                    .input = args.input,
                    .grad_input = args.grad_input,
                    .mean = mean,
                    .rstd = invstd,
                    .slope = args.is_training ? tilt.first() : nullptr,
                    .shift = args.is_training ? tilt.second() : nullptr,
                    .weight = args.weight,
                    .parameter_dtype = args.parameter_dtype});
  }
  check_launch("batch_norm_backward");
}

}  // namespace

void batch_norm(const BatchNormArgs& args) { run_batch_norm(args, {}); }
void batch_norm_relu(const BatchNormReluArgs& args) {
  run_batch_norm(args.norm, {.relu = true, .residual = args.residual});
}
void batch_norm_backward(const BatchNormBackwardArgs& args) { run_batch_norm_backward(args, {}); }
void batch_norm_relu_backward(const BatchNormReluBackwardArgs& args) {
  run_batch_norm_backward(args.norm, {.relu = true,
                                      .bias = args.bias,
                                      .output = args.output,
                                      .grad_residual = args.grad_residual});
}

}  // namespace cuda

NormKernels norm_kernels_cuda() {
  NormKernels table;
  table.layer_norm = cuda::layer_norm;
  table.layer_norm_backward = cuda::layer_norm_backward;
  table.rms_norm = cuda::rms_norm;
  table.rms_norm_backward = cuda::rms_norm_backward;
  table.group_norm = cuda::group_norm;
  table.group_norm_backward = cuda::group_norm_backward;
  table.batch_norm = cuda::batch_norm;
  table.batch_norm_backward = cuda::batch_norm_backward;
  table.batch_norm_relu = cuda::batch_norm_relu;
  table.batch_norm_relu_backward = cuda::batch_norm_relu_backward;
  return table;
}

}  // namespace taut::kernels
