// The backward of layer and RMS norm on CUDA for rows that fit the registers of a team of threads:
// each team walks down rows, keeps the sums of its columns' parameter gradients, and leaves them in
// scratch memory, where a second kernel adds them in the order of the teams.
//
// The sums take so many registers that few rows are under way at once. So that memory does not wait
// for a team that folds and writes, the rows that come next are copied to shared memory meanwhile.

#include "kernels/api/row_team.cuh"
#include "kernels/norm/moments_cuda.cuh"
#include "kernels/norm/norm_steps_cuda.h"
#include "kernels/norm/parameter_cuda.cuh"
#include "kernels/norm/row_ring_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

/// Elements of a row to a thread. Few leave registers for twice as many threads, which hide each
/// other's waits; what two packs hold is many, and takes rows twice as long.
template <class T>
constexpr int kManyItems = sizeof(T) == 8 ? 8 : 16;
template <class T>
constexpr int kFewItems = sizeof(T) == 2 ? 8 : kManyItems<T>;

constexpr int kMostThreads = 512;  // of a block
/// Threads of a multiprocessor that have registers.
template <class T>
constexpr int threads_at_once(int items) {
  return items == kManyItems<T> ? 512 : 1024;
}

/// The kernel that adds the parts: a block has a few columns, and so many threads to each.
constexpr int kSumColumns = 8;
constexpr int kSumThreads = 64;

template <class T>
struct RowGradients {
  const T* grad;
  const T* input;
  const T* grad_sum;       // with kAdds
  const Compute<T>* mean;  // null for RMS norm
  const Compute<T>* rstd;
  Parameter<T> weight;
  T* grad_input;        // may be null
  Compute<T>* partial;  // (parts, 2, n): of grad_weight and grad_bias; may be null
  int64_t rows;
  int n;
};

template <class A>
struct Statistics {
  A mean;
  A rstd;
};

template <class T>
__device__ inline Statistics<Compute<T>> statistics_of(const RowGradients<T>& of, int64_t row) {
  using A = Compute<T>;
  if (row >= of.rows) return {A(0), A(0)};
  return {of.mean != nullptr ? of.mean[row] : A(0), of.rstd[row]};
}

// Adds what the other teams of a warp have for the same columns.
template <class A, int kCount>
__device__ inline void fold_teams(A (&sums)[kCount], int lanes) {
#pragma unroll
  for (int e = 0; e < kCount; ++e) {
    for (int mask = lanes; mask < kWarp; mask *= 2) sums[e] += shuffle_xor(sums[e], mask);
  }
}

template <int kPack, int kCount, class T>
__device__ inline void load_weights(const RowGradients<T>& of, const RowTeam& team,
                                    Compute<T> (&weights)[kCount]) {
  using A = Compute<T>;
#pragma unroll
  for (int j = 0; j < kCount / kPack; ++j) {
    const int at = (j * team.lanes + team.lane) * kPack;
    A part[kPack];
#pragma unroll
    for (int e = 0; e < kPack; ++e) part[e] = A(0);
    if (at < of.n) of.weight.template load<kPack>(at, A(1), part);
#pragma unroll
    for (int e = 0; e < kPack; ++e) weights[j * kPack + e] = part[e];
  }
}

// What a team found goes to its part of `partial`, once for all teams of a warp.
template <int kPack, int kCount, class T>
__device__ inline void store_partial(const RowGradients<T>& of, const RowTeam& team,
                                     Compute<T> (&grad_weight)[kCount],
                                     Compute<T> (&grad_bias)[kCount]) {
  int64_t part = blockIdx.x;
  if (team.lanes < kWarp) {
    fold_teams(grad_weight, team.lanes);
    fold_teams(grad_bias, team.lanes);
  }
  if (team.lanes <= kWarp) {
    part = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
    if (threadIdx.x % kWarp >= static_cast<unsigned>(team.lanes)) return;
  }
  Compute<T>* to = of.partial + part * 2 * of.n;
  store_row<kPack>(team, to, of.n, grad_weight);
  store_row<kPack>(team, to + of.n, of.n, grad_bias);
}

// kRing: rows come through shared memory, kPack is kPackCount<T>. kAdds: grad_sum joins grad_input.
template <class T, int kCount, int kPack, bool kRing, bool kAdds>
__global__ void __launch_bounds__(kMostThreads, threads_at_once<T>(kCount) / kMostThreads)
    row_gradient_kernel(const __grid_constant__ RowGradients<T> of, int lanes) {
  wait_for_stream();
  using A = Compute<T>;
  constexpr int kArrays = kAdds ? 3 : 2;
  using Ring = RowRing<T, kCount, kArrays>;
  extern __shared__ __align__(16) unsigned char memory[];
  const Ring ring(memory);
  const RowTeam team(lanes);
  const int64_t teams = int64_t{gridDim.x} * (blockDim.x / static_cast<unsigned>(lanes));
  const auto fetch = [&](int turn, int64_t row) {
    if constexpr (kRing) {
      const int64_t start = row * of.n;
      const int n = row < of.rows ? of.n : 0;
      if constexpr (kAdds) {
        ring.fetch(turn, team, {of.grad + start, of.input + start, of.grad_sum + start}, n);
      } else {
        ring.fetch(turn, team, {of.grad + start, of.input + start}, n);
      }
    }
  };
#pragma unroll
  for (int turn = 0; turn < Ring::kSlots; ++turn) fetch(turn, team.row + turn * teams);

  A weights[kCount];
  load_weights<kPack>(of, team, weights);
  Statistics<A> next = statistics_of(of, team.row);
  const A per_column = A(1) / static_cast<A>(of.n);
  A grad_weight[kCount] = {}, grad_bias[kCount] = {};
  int turn = 0;
  // The same number of turns for all teams: they fold together.
  for (int64_t first = 0; first < of.rows; first += teams) {
    const int64_t row = first + team.row;
    const int n = row < of.rows ? of.n : 0;
    const int64_t start = row * of.n;
    const auto [mean, rstd] = next;
    next = statistics_of(of, row + teams);
    A g[kCount], x[kCount];
    if constexpr (kRing) {
      ring.wait();
    } else {
      load_row<kPack>(team, of.grad + start, n, A(0), g);
      load_row<kPack>(team, of.input + start, n, A(0), x);
    }
    SumPair<A> sums{A(0), A(0)};  // of h and h xhat
#pragma unroll
    for (int j = 0; j < kCount / kPack; ++j) {
      const int at = (j * team.lanes + team.lane) * kPack;
      if (at >= n) continue;
      if constexpr (kRing) {
        A g_pack[kPack], x_pack[kPack];
        ring.read(turn, 0, j, g_pack);
        ring.read(turn, 1, j, x_pack);
#pragma unroll
        for (int e = 0; e < kPack; ++e) {
          g[j * kPack + e] = g_pack[e];
          x[j * kPack + e] = x_pack[e];
        }
      }
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        const int i = j * kPack + e;
        x[i] = (x[i] - mean) * rstd;
        grad_weight[i] += g[i] * x[i];
        grad_bias[i] += g[i];
        g[i] *= weights[i];
        sums.first += g[i];
        sums.second += g[i] * x[i];
      }
    }
    if (of.grad_input != nullptr) sums = team.fold(sums, AddPairs{}, turn);
    if constexpr (!kAdds) fetch(turn, row + Ring::kSlots * teams);
    if (of.grad_input != nullptr) {
      // rstd (h - mean of h - xhat mean of h xhat)
      const A shift = of.mean != nullptr ? sums.first * per_column * rstd : A(0);
      const A slope = sums.second * per_column * rstd;
#pragma unroll
      for (int i = 0; i < kCount; ++i) g[i] = g[i] * rstd - (x[i] * slope + shift);
      if constexpr (kAdds) {
#pragma unroll
        for (int j = 0; j < kCount / kPack; ++j) {
          const int at = (j * team.lanes + team.lane) * kPack;
          if (at >= n) continue;
          A more[kPack];
          if constexpr (kRing) {
            ring.read(turn, 2, j, more);
          } else {
            load_widened<kPack>(of.grad_sum + start + at, more);
          }
#pragma unroll
          for (int e = 0; e < kPack; ++e) g[j * kPack + e] += more[e];
        }
      }
      store_row<kPack>(team, of.grad_input + start, n, g);
    }
    if constexpr (kAdds) fetch(turn, row + Ring::kSlots * teams);
    turn = (turn + 1) % Ring::kSlots;
  }
  if (of.partial != nullptr) store_partial<kPack>(of, team, grad_weight, grad_bias);
}

// Eight columns are what one read from memory brings: blocks of so few keep the whole GPU busy.
template <class T>
__global__ void __launch_bounds__(kSumColumns* kSumThreads)
    sum_parts_kernel(const Compute<T>* partial, int64_t parts, int n, ParameterOut<T> grad_weight,
                     ParameterOut<T> grad_bias) {
  wait_for_stream();
  using A = Compute<T>;
  const int64_t column = int64_t{blockIdx.x} * kSumColumns + threadIdx.x;  // of both lists
  const bool exists = column < 2 * int64_t{n};
  A sum = 0;
#pragma unroll 8
  for (int64_t part = threadIdx.y; exists && part < parts; part += kSumThreads) {
    sum += partial[part * 2 * n + column];
  }
  __shared__ A sums[kSumThreads][kSumColumns];
  sums[threadIdx.y][threadIdx.x] = sum;
  for (unsigned half = kSumThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y >= half) continue;
    sums[threadIdx.y][threadIdx.x] += sums[threadIdx.y + half][threadIdx.x];
  }
  if (threadIdx.y != 0 || !exists) return;
  sum = sums[0][threadIdx.x];
  column < n ? grad_weight.set(column, sum) : grad_bias.set(column - n, sum);
}

template <class T, int kCount, bool kAdds>
void launch_rows(const RowGradients<T>& of, bool packs, const TeamPlan& plan) {
  constexpr int kPack = kPackCount<T>;
  constexpr auto kThroughRing = &row_gradient_kernel<T, kCount, kPack, true, kAdds>;
  const int ring_bytes = plan.threads * RowRing < T, kCount, kAdds ? 3 : 2 > ::kBytesPerThread;
  if (packs && ring_bytes <= shared_bytes_for_copies<kThroughRing>("norm")) {
    launch_kernel(kThroughRing, {plan.blocks, plan.threads, static_cast<size_t>(ring_bytes)}, of,
                  plan.lanes);
    return;
  }
  const auto kernel = packs ? &row_gradient_kernel<T, kCount, kPack, false, kAdds>
                            : &row_gradient_kernel<T, kCount, 1, false, kAdds>;
  launch_kernel(kernel, {plan.blocks, plan.threads}, of, plan.lanes);
}

template <class T>
void launch_gradient(const LayerNormBackwardArgs& args, bool is_rms) {
  using A = Compute<T>;
  const int n = static_cast<int>(args.cols);
  const bool has_parameters = args.grad_weight != nullptr || args.grad_bias != nullptr;
  const bool has_few = n <= kMostThreads * kFewItems<T>;
  const int items = has_few ? kFewItems<T> : kManyItems<T>;
  TeamPlan plan = plan_teams(args.rows, (n + items - 1) / items);
  // As many threads as have registers, each with several rows to sum over.
  const auto most =
      static_cast<unsigned>(multiprocessors() * (threads_at_once<T>(items) / plan.threads));
  if (has_parameters && plan.blocks > most) plan.blocks = most;
  const int64_t parts = int64_t{plan.blocks} * (plan.lanes <= kWarp ? plan.threads / kWarp : 1);
  const taut::cuda::Scratch scratch(has_parameters ? static_cast<size_t>(parts * 2 * n) * sizeof(A)
                                                   : 1);
  const RowGradients<T> of{static_cast<const T*>(args.grad_output),
                           static_cast<const T*>(args.input),
                           static_cast<const T*>(args.grad_sum),
                           is_rms ? nullptr : static_cast<const A*>(args.mean),
                           static_cast<const A*>(args.rstd),
                           {args.weight, args.parameter_dtype},
                           static_cast<T*>(args.grad_input),
                           has_parameters ? scratch.as<A>() : nullptr,
                           args.rows,
                           n};
  const bool packs = n % kPackCount<T> == 0 && is_aligned(of.grad) && is_aligned(of.input) &&
                     is_aligned(of.grad_sum) && is_aligned(of.grad_input) &&
                     is_aligned(args.weight);
  const bool adds = of.grad_sum != nullptr && of.grad_input != nullptr;
  const auto launch =
      has_few
          ? (adds ? &launch_rows<T, kFewItems<T>, true> : &launch_rows<T, kFewItems<T>, false>)
          : (adds ? &launch_rows<T, kManyItems<T>, true> : &launch_rows<T, kManyItems<T>, false>);
  launch(of, packs, plan);
  if (!has_parameters) return;
  const auto blocks = static_cast<unsigned>((2 * int64_t{n} + kSumColumns - 1) / kSumColumns);
  launch_kernel(sum_parts_kernel<T>, {blocks, dim3(kSumColumns, kSumThreads)}, scratch.as<A>(),
                parts, n, {args.grad_weight, args.parameter_dtype},
                {args.grad_bias, args.parameter_dtype});
}

// No rows: the gradients of parameters are sums over nothing.
void clear_parameters(const LayerNormBackwardArgs& args) {
  const size_t bytes = static_cast<size_t>(args.cols) * item_size(args.parameter_dtype);
  for (void* grad : {args.grad_weight, args.grad_bias}) {
    if (grad != nullptr && bytes > 0) check("norm", cudaMemsetAsync(grad, 0, bytes, stream()));
  }
}

// A row too long is layer norm over one group of as many channels, but for what is added.
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
  } else if (args.cols > kMostThreads * (args.dtype == DType::float64 ? kManyItems<double>
                                                                      : kManyItems<float>)) {
    group_norm_backward_by_steps(name, as_groups(args), args.grad_sum, is_rms);
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
