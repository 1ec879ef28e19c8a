// The backward of group norm on CUDA: sums over runs, what follows from them for each group, the
// gradient of the input, and those of the parameters. See Note [Norms by steps].

#include "kernels/api/row_team.cuh"
#include "kernels/norm/moments_cuda.cuh"
#include "kernels/norm/norm_steps_cuda.h"
#include "kernels/norm/parameter_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

template <class T>
struct Groups {
  const double* sums;  // (batch, channels, 2): of g and g (x - mean)
  const Compute<T>* rstd;
  Parameter<T> weight;
  int64_t batch, channels, groups, per_group;
  double count;  // elements of a group
  bool is_rms;
};

// grad_x = g rstd weight + (x - mean) slope + shift.
template <class T>
__global__ void __launch_bounds__(kMaxLanes, 1)
    group_slopes_kernel(const __grid_constant__ Groups<T> of, Compute<T>* slope, Compute<T>* shift,
                        int lanes) {
  wait_for_stream();
  using A = Compute<T>;
  const RowTeam team(lanes);
  const bool exists = team.row < of.batch * of.groups;
  SumPair<double> sums{0.0, 0.0};
  const int64_t first = team.row % of.groups * of.per_group;
  for (int64_t k = team.lane; exists && k < of.per_group; k += team.lanes) {
    const double w = static_cast<double>(of.weight.at(first + k, A(1)));
    const double* run = of.sums + 2 * (team.row * of.per_group + k);
    sums.first += w * run[0];
    sums.second += w * run[1];
  }
  sums = team.fold(sums, AddPairs{});
  if (!exists || team.lane != 0) return;
  const double r = static_cast<double>(of.rstd[team.row]);
  slope[team.row] = static_cast<A>(-r * r * r * sums.second / of.count);
  shift[team.row] = of.is_rms ? A(0) : static_cast<A>(-r * sums.first / of.count);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    group_parameters_kernel(const __grid_constant__ Groups<T> of, ParameterOut<T> grad_weight,
                            ParameterOut<T> grad_bias) {
  wait_for_stream();
  const int64_t channel = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (channel >= of.channels) return;
  const int64_t group = channel / of.per_group;
  double weight = 0, bias = 0;
  for (int64_t b = 0; b < of.batch; ++b) {
    const double* run = of.sums + 2 * (b * of.channels + channel);
    bias += run[0];
    weight += run[1] * static_cast<double>(of.rstd[b * of.groups + group]);
  }
  grad_weight.set(channel, static_cast<Compute<T>>(weight));
  grad_bias.set(channel, static_cast<Compute<T>>(bias));
}

template <class T>
void launch_steps(const GroupNormBackwardArgs& args, const void* more, bool is_rms) {
  using A = Compute<T>;
  const int64_t per_group = args.channels / args.groups;
  const int64_t runs = args.batch * args.channels, groups = args.batch * args.groups;
  const void* mean = is_rms ? nullptr : args.mean;
  const taut::cuda::Scratch sums(static_cast<size_t>(2 * runs) * sizeof(double));
  sum_channels({.dtype = args.dtype,
                .shape = {1, runs, args.spatial, per_group},
                .grad = args.grad_output,
                .input = args.input,
                .mean = mean,
                .sums = sums.as<double>()});
  const Groups<T> of{sums.as<double>(),
                     static_cast<const A*>(args.rstd),
                     {args.weight, args.parameter_dtype},
                     args.batch,
                     args.channels,
                     args.groups,
                     per_group,
                     static_cast<double>(per_group * args.spatial),
                     is_rms};
  if (args.grad_input != nullptr) {
    const taut::cuda::Scratch slopes(static_cast<size_t>(groups) * sizeof(A));
    const taut::cuda::Scratch shifts(static_cast<size_t>(groups) * sizeof(A));
    const TeamPlan plan = plan_teams(groups, (per_group + 3) / 4);
    launch_kernel(group_slopes_kernel<T>, {plan.blocks, plan.threads}, of, slopes.as<A>(),
                  shifts.as<A>(), plan.lanes);
    write_gradient({.dtype = args.dtype,
                    .shape = {args.batch, args.channels, args.spatial, per_group},
                    .grad = args.grad_output,
                    .input = args.input,
                    .grad_input = args.grad_input,
                    .mean = mean,
                    .rstd = args.rstd,
                    .slope = slopes.data(),
                    .shift = shifts.data(),
                    .weight = args.weight,
                    .parameter_dtype = args.parameter_dtype,
                    .more = more});
  }
  if (args.grad_weight == nullptr && args.grad_bias == nullptr) return;
  const auto blocks = static_cast<unsigned>((args.channels + kThreads - 1) / kThreads);
  launch_kernel(group_parameters_kernel<T>, {blocks, kThreads}, of,
                {args.grad_weight, args.parameter_dtype}, {args.grad_bias, args.parameter_dtype});
}

}  // namespace

void group_norm_backward_by_steps(const char* op, const GroupNormBackwardArgs& args,
                                  const void* more, bool is_rms) {
  visit_floating(op, args.dtype,
                 [&](auto tag) { launch_steps<typename decltype(tag)::type>(args, more, is_rms); });
}

void group_norm_backward(const GroupNormBackwardArgs& args) {
  if (args.batch * args.channels * args.spatial == 0) {
    // Sums over nothing.
    const size_t bytes = static_cast<size_t>(args.channels) * item_size(args.parameter_dtype);
    for (void* grad : {args.grad_weight, args.grad_bias}) {
      if (grad == nullptr || bytes == 0) continue;
      check("group_norm_backward", cudaMemsetAsync(grad, 0, bytes, stream()));
    }
    return;
  }
  group_norm_backward_by_steps("group_norm_backward", args, nullptr, false);
  check_launch("group_norm_backward");
}

}  // namespace taut::kernels::cuda
