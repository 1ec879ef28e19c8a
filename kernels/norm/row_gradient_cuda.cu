// The backward of layer and RMS norm on CUDA for rows that fit the registers of a team of threads:
// each team walks down rows, keeps the sums of its columns' parameter gradients, and leaves them in
// scratch memory, where a second kernel adds them in the order of the teams.

#include "kernels/api/row_team.cuh"
#include "kernels/norm/moments_cuda.cuh"
#include "kernels/norm/norm_steps_cuda.h"
#include "kernels/norm/parameter_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

/// Elements of a row to a thread, of four arrays.
template <class T>
constexpr int kItems = sizeof(T) == 8 ? 4 : 8;

constexpr int kSumWarps = 16;

template <class T>
struct RowGradients {
  const T* grad;
  const T* input;
  const Compute<T>* mean;  // null for RMS norm
  const Compute<T>* rstd;
  Parameter<T> weight;
  T* grad_input;        // may be null
  Compute<T>* partial;  // (parts, 2, n): of grad_weight and grad_bias; may be null
  int64_t rows;
  int n;
};

// Adds what the other teams of a warp have for the same columns.
template <class A, int kCount>
__device__ inline void fold_teams(A (&sums)[kCount], int lanes) {
#pragma unroll
  for (int e = 0; e < kCount; ++e) {
    for (int mask = lanes; mask < kWarp; mask *= 2) sums[e] += shuffle_xor(sums[e], mask);
  }
}

template <class T, int kPack>
__global__ void __launch_bounds__(kMaxLanes, 1)
    row_gradient_kernel(const __grid_constant__ RowGradients<T> of, int lanes) {
  using A = Compute<T>;
  constexpr int kCount = kItems<T>;
  const RowTeam team(lanes);
  const int64_t teams = int64_t{gridDim.x} * (blockDim.x / static_cast<unsigned>(lanes));
  A grad_weight[kCount] = {}, grad_bias[kCount] = {};
  // The same number of turns for all teams: they fold together.
  for (int64_t first = 0; first < of.rows; first += teams) {
    const int64_t row = first + team.row;
    const int n = row < of.rows ? of.n : 0;
    const int64_t start = row * of.n;
    A g[kCount], x[kCount];
    load_row<kPack>(team, of.grad + start, n, A(0), g);
    load_row<kPack>(team, of.input + start, n, A(0), x);
    const A mean = n > 0 && of.mean != nullptr ? of.mean[row] : A(0);
    const A rstd = n > 0 ? of.rstd[row] : A(0);
    SumPair<A> sums{A(0), A(0)};  // of h and h xhat
#pragma unroll
    for (int j = 0; j < kCount / kPack; ++j) {
      const int at = (j * team.lanes + team.lane) * kPack;
      if (at >= n) continue;
      A weight[kPack];
      of.weight.template load<kPack>(at, A(1), weight);
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        const int i = j * kPack + e;
        x[i] = (x[i] - mean) * rstd;
        grad_weight[i] += g[i] * x[i];
        grad_bias[i] += g[i];
        g[i] *= weight[e];
        sums.first += g[i];
        sums.second += g[i] * x[i];
      }
    }
    if (of.grad_input == nullptr) continue;
    sums = team.fold(sums, AddPairs{});
    const A mean_h = of.mean != nullptr ? sums.first / static_cast<A>(of.n) : A(0);
    const A mean_h_xhat = sums.second / static_cast<A>(of.n);
#pragma unroll
    for (int i = 0; i < kCount; ++i) g[i] = rstd * (g[i] - mean_h - x[i] * mean_h_xhat);
    store_row<kPack>(team, of.grad_input + start, n, g);
  }
  if (of.partial == nullptr) return;

  int64_t part = blockIdx.x;
  if (lanes < kWarp) {
    fold_teams(grad_weight, lanes);
    fold_teams(grad_bias, lanes);
  }
  if (lanes <= kWarp) {
    part = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
    if (threadIdx.x % kWarp >= static_cast<unsigned>(lanes)) return;
  }
  A* to = of.partial + part * 2 * of.n;
#pragma unroll
  for (int j = 0; j < kCount / kPack; ++j) {
#pragma unroll
    for (int e = 0; e < kPack; ++e) {
      const int at = (j * team.lanes + team.lane) * kPack + e;
      if (at >= of.n) continue;
      to[at] = grad_weight[j * kPack + e];
      to[of.n + at] = grad_bias[j * kPack + e];
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kWarp* kSumWarps)
    sum_parts_kernel(const Compute<T>* partial, int64_t parts, int n, ParameterOut<T> grad_weight,
                     ParameterOut<T> grad_bias) {
  using A = Compute<T>;
  const int64_t column = int64_t{blockIdx.x} * kWarp + threadIdx.x;  // of both lists
  const bool exists = column < 2 * int64_t{n};
  A sum = 0;
#pragma unroll 4
  for (int64_t part = threadIdx.y; exists && part < parts; part += kSumWarps) {
    sum += partial[part * 2 * n + column];
  }
  __shared__ A sums[kSumWarps][kWarp];
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || !exists) return;
  for (int warp = 1; warp < kSumWarps; ++warp) sum += sums[warp][threadIdx.x];
  column < n ? grad_weight.set(column, sum) : grad_bias.set(column - n, sum);
}

template <class T>
void launch_gradient(const LayerNormBackwardArgs& args, bool is_rms) {
  using A = Compute<T>;
  const int n = static_cast<int>(args.cols);
  const bool has_parameters = args.grad_weight != nullptr || args.grad_bias != nullptr;
  TeamPlan plan = plan_teams(args.rows, (n + kItems<T> - 1) / kItems<T>);
  // About 1024 threads to a multiprocessor, each with several rows to sum over.
  const auto most = static_cast<unsigned>(multiprocessors() * (1024 / plan.threads));
  if (has_parameters && plan.blocks > most) plan.blocks = most;
  const int64_t parts = int64_t{plan.blocks} * (plan.lanes <= kWarp ? plan.threads / kWarp : 1);
  const taut::cuda::Scratch scratch(has_parameters ? static_cast<size_t>(parts * 2 * n) * sizeof(A)
                                                   : 1);
  const RowGradients<T> of{static_cast<const T*>(args.grad_output),
                           static_cast<const T*>(args.input),
                           is_rms ? nullptr : static_cast<const A*>(args.mean),
                           static_cast<const A*>(args.rstd),
                           {args.weight, args.parameter_dtype},
                           static_cast<T*>(args.grad_input),
                           has_parameters ? scratch.as<A>() : nullptr,
                           args.rows,
                           n};
  const bool packs = n % kPackCount<T> == 0 && is_aligned(of.grad) && is_aligned(of.input) &&
                     is_aligned(of.grad_input) && is_aligned(args.weight);
  const auto kernel = packs ? &row_gradient_kernel<T, kPackCount<T>> : &row_gradient_kernel<T, 1>;
  kernel<<<plan.blocks, plan.threads, 0, stream()>>>(of, plan.lanes);
  if (!has_parameters) return;
  const auto blocks = static_cast<unsigned>((2 * int64_t{n} + kWarp - 1) / kWarp);
  sum_parts_kernel<T><<<blocks, dim3(kWarp, kSumWarps), 0, stream()>>>(
      scratch.as<A>(), parts, n, {args.grad_weight, args.parameter_dtype},
      {args.grad_bias, args.parameter_dtype});
}

// No rows: the gradients of parameters are sums over nothing.
void clear_parameters(const LayerNormBackwardArgs& args) {
  const size_t bytes = static_cast<size_t>(args.cols) * item_size(args.parameter_dtype);
  for (void* grad : {args.grad_weight, args.grad_bias}) {
    if (grad != nullptr && bytes > 0) check("norm", cudaMemsetAsync(grad, 0, bytes, stream()));
  }
}

// A row too long is layer norm over one group of as many channels.
GroupNormBackwardArgs as_groups(const LayerNormBackwardArgs& args) {
  GroupNormBackwardArgs result;
  result.grad_output = args.grad_output;
  result.input = args.input;
  result.mean = args.mean;
  result.rstd = args.rstd;
  result.weight = args.weight;
  result.grad_input = args.grad_input;
  result.grad_weight = args.grad_weight;
  result.grad_bias = args.grad_bias;
  result.dtype = args.dtype;
  result.parameter_dtype = args.parameter_dtype;
  result.batch = args.rows;
  result.channels = args.cols;
  result.spatial = 1;
  result.groups = 1;
  return result;
}

void backward(const char* name, const LayerNormBackwardArgs& args, bool is_rms) {
  if (args.rows * args.cols == 0) {
    clear_parameters(args);
  } else if (args.cols >
             kMaxLanes * (args.dtype == DType::float64 ? kItems<double> : kItems<float>)) {
    group_norm_backward_by_steps(name, as_groups(args), is_rms);
  } else {
    visit_floating(name, args.dtype,
                   [&](auto tag) { launch_gradient<typename decltype(tag)::type>(args, is_rms); });
  }
  check_launch(name);
}

}  // namespace

void layer_norm_backward(const LayerNormBackwardArgs& args) {
  backward("layer_norm_backward", args, false);
}
void rms_norm_backward(const LayerNormBackwardArgs& args) {
  backward("rms_norm_backward", args, true);
}

}  // namespace taut::kernels::cuda
