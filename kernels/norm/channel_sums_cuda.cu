// What norms sum over channels: the moments of the input, and the gradient beside it. See
// Note [Norms by steps].
//
// The elements of a channel are cut into chunks by its size and the number of channels alone. A
// team of threads takes a chunk and leaves what it finds in scratch memory; a warp for each channel
// brings the chunks together, in their order and in double.

#include "kernels/api/fast_index.cuh"
#include "kernels/api/row_team.cuh"
#include "kernels/norm/column_sums_cuda.cuh"
#include "kernels/norm/moments_cuda.cuh"
#include "kernels/norm/norm_steps_cuda.h"
#include "kernels/norm/parameter_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

constexpr int kChunkThreads = 512;
constexpr int64_t kShortestChunk = 4096;  // elements
constexpr int64_t kElementsPerThread = 16;

/// Elements that a thread loads before it uses the first.
template <int kPack>
constexpr int kBatch = kPack > 4 ? 2 * kPack : 8;

/// Where the elements of channels lie, and how they are cut.
struct Channels {
  int64_t batch, channels, spatial;
  int64_t chunks, chunk_size;  // of a channel; the size in elements
  Divider by_spatial;
  int lanes;
};

// ---- What is summed -----------------------------------------------------------------------------

template <class T>
struct InputMoments {
  using A = Compute<T>;
  using Found = Moments<A>;
  using Fold = MergeMoments;
  static constexpr bool reads_grad = false;
  const T* input;

  __device__ A center(int64_t) const { return A(0); }
  template <int kCount>
  __device__ void take(Found& found, const A (&x)[kCount], const A (&)[kCount], int count,
                       A) const {
    found = MergeMoments{}(found, Moments<A>::of(x, count));
  }
};

template <class T>
struct GradientSums {
  using A = Compute<T>;
  using Found = SumPair<A>;
  using Fold = AddPairs;
  static constexpr bool reads_grad = true;
  const T* input;
  const T* grad;
  const A* mean;  // may be null
  int64_t per_mean;

  __device__ A center(int64_t channel) const {
    return mean == nullptr ? A(0) : mean[channel / per_mean];
  }
  template <int kCount>
  __device__ void take(Found& found, const A (&x)[kCount], const A (&g)[kCount], int count,
                       A center) const {
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
      if (e >= count) continue;
      found.first += g[e];
      found.second += g[e] * (x[e] - center);
    }
  }
};

template <class Of, class T>
__device__ inline const T* grad_of(const Of& of, const T*) {
  if constexpr (Of::reads_grad) {
    return of.grad;
  } else {
    return nullptr;
  }
}

// ---- Chunks -------------------------------------------------------------------------------------

// A chunk is a stretch of a channel's batch * spatial elements.
template <class T, class Of, int kPack>
__global__ void __launch_bounds__(kChunkThreads)
    sum_runs_kernel(const __grid_constant__ Of of, const __grid_constant__ Channels in,
                    typename Of::Found* found) {
  wait_for_stream();
  using A = Compute<T>;
  constexpr int kPacks = kBatch<kPack> / kPack;
  const RowTeam team(in.lanes);
  const bool exists = team.row < in.channels * in.chunks;
  const int64_t channel = exists ? team.row / in.chunks : 0;
  const int64_t begin = (team.row - channel * in.chunks) * in.chunk_size;
  const int64_t n = in.batch * in.spatial;
  const int64_t end = !exists ? 0 : begin + in.chunk_size < n ? begin + in.chunk_size : n;
  const A center = of.center(channel);
  auto mine = Of::Fold::template identity<typename Of::Found>();
  for (int64_t i = begin + team.lane * kPack; i < end; i += int64_t{team.lanes} * kBatch<kPack>) {
    A x[kBatch<kPack>], g[kBatch<kPack>];
    int count = 0;
#pragma unroll
    for (int u = 0; u < kPacks; ++u) {
      const int64_t at = i + int64_t{u} * team.lanes * kPack;
      A x_pack[kPack], g_pack[kPack];
#pragma unroll
      for (int e = 0; e < kPack; ++e) x_pack[e] = g_pack[e] = A(0);
      if (at < end) {
        const int64_t sample = in.by_spatial.quotient(at);
        const int64_t place = (sample * (in.channels - 1) + channel) * in.spatial + at;
        load_widened<kPack>(of.input + place, x_pack);
        if constexpr (Of::reads_grad) load_widened<kPack>(grad_of(of, of.input) + place, g_pack);
        count += kPack;
      }
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        x[u * kPack + e] = x_pack[e];
        g[u * kPack + e] = g_pack[e];
      }
    }
    of.take(mine, x, g, count, center);
  }
  mine = team.fold(mine, typename Of::Fold{});
  if (exists && team.lane == 0) found[team.row] = mine;
}

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t clamp_chunks(int64_t wanted, int64_t most) {
  if (wanted > most) wanted = most;
  return wanted < 1 ? 1 : wanted;
}

/// Channels that share a mean.
int64_t per_mean(const NormShape& shape) { return shape.per_group == 0 ? 1 : shape.per_group; }

Channels plan_channels(const NormShape& shape) {
  Channels in;
  in.batch = shape.batch;
  in.channels = shape.channels;
  in.spatial = shape.spatial;
  const int64_t n = shape.batch * shape.spatial;
  in.by_spatial = Divider(shape.spatial, n);
  const int64_t blocks = int64_t{8} * multiprocessors();
  in.chunks = clamp_chunks(ceil_divide(blocks, shape.channels), n / kShortestChunk);
  // Whole packs, whatever their size.
  in.chunk_size = ceil_divide(ceil_divide(n, in.chunks), 16) * 16;
  in.chunks = ceil_divide(n, in.chunk_size);
  in.lanes = 0;
  return in;
}

template <class T, class Of>
void launch_chunks(const Of& of, Channels in, bool aligned, typename Of::Found* found) {
  int64_t wanted = ceil_divide(in.chunk_size, kElementsPerThread);
  if (wanted > kChunkThreads) wanted = kChunkThreads;
  const TeamPlan plan = plan_teams(in.channels * in.chunks, wanted);
  in.lanes = plan.lanes;
  const bool packs = aligned && in.spatial % kPackCount<T> == 0;
  const auto kernel = packs ? &sum_runs_kernel<T, Of, kPackCount<T>> : &sum_runs_kernel<T, Of, 1>;
  launch_kernel(kernel, {plan.blocks, plan.threads}, of, in, found);
}

// ---- What becomes of them -----------------------------------------------------------------------

template <class T>
struct Statistics {
  Compute<T>* mean;
  Compute<T>* rstd;
  double eps, momentum;
  bool is_rms;
  ParameterOut<T> running_mean, running_var;
};

// running += momentum (value - running).
template <class T>
__device__ inline void follow(const ParameterOut<T>& running, int64_t channel, double value,
                              double momentum) {
  if (running.data == nullptr) return;
  const double old = static_cast<double>(running.at(channel));
  running.set(channel, static_cast<Compute<T>>(old + momentum * (value - old)));
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    finish_statistics_kernel(const Moments<Compute<T>>* found, int64_t channels, int64_t chunks,
                             double n, const __grid_constant__ Statistics<T> to) {
  wait_for_stream();
  using A = Compute<T>;
  const RowTeam team(kWarp);
  const bool exists = team.row < channels;
  // In double two plain sums lose no digits that matter: those of the values, then of the squares.
  double sum = 0;
  for (int64_t k = team.lane; exists && k < chunks; k += kWarp) {
    const Moments<A> part = found[team.row * chunks + k];
    sum += static_cast<double>(part.count) * static_cast<double>(part.mean);
  }
  const double center = team.fold(sum, Sum{}) / n;
  double squares = 0;
  for (int64_t k = team.lane; exists && k < chunks; k += kWarp) {
    const Moments<A> part = found[team.row * chunks + k];
    const double away = static_cast<double>(part.mean) - center;
    squares += static_cast<double>(part.m2) + static_cast<double>(part.count) * away * away;
  }
  squares = team.fold(squares, Sum{});
  if (!exists || team.lane != 0) return;
  const A mean = static_cast<A>(center);
  const A variance = static_cast<A>(squares / n + (to.is_rms ? center * center : 0.0));
  if (to.mean != nullptr) to.mean[team.row] = mean;
  if (to.rstd != nullptr) {
    to.rstd[team.row] = static_cast<A>(1.0 / sqrt(static_cast<double>(variance) + to.eps));
  }
  follow(to.running_mean, team.row, static_cast<double>(mean), to.momentum);
  follow(to.running_var, team.row, static_cast<double>(variance) * (n / (n - 1.0)), to.momentum);
}

template <class A>
__global__ void __launch_bounds__(kThreads)
    finish_sums_kernel(const SumPair<A>* found, int64_t channels, int64_t chunks, double* sums) {
  wait_for_stream();
  const RowTeam team(kWarp);
  const bool exists = team.row < channels;
  SumPair<double> all{0.0, 0.0};
  for (int64_t k = team.lane; exists && k < chunks; k += kWarp) {
    const SumPair<A> part = found[team.row * chunks + k];
    all.first += static_cast<double>(part.first);
    all.second += static_cast<double>(part.second);
  }
  all = team.fold(all, AddPairs{});
  if (!exists || team.lane != 0) return;
  sums[2 * team.row] = all.first;
  sums[2 * team.row + 1] = all.second;
}

unsigned blocks_of_warps(int64_t rows) {
  return static_cast<unsigned>(ceil_divide(rows, kThreads / kWarp));
}

// A thread sums this many rows of a column or more, where there are so many.
constexpr int64_t kLeastRows = 16;

template <class Many, class One, int kPack>
void launch_columns(const typename One::Of& of, const ColumnPlan& plan, bool packs,
                    typename One::Found* found) {
  const auto kernel = packs ? &sum_columns_kernel<Many, kPack> : &sum_columns_kernel<One, 1>;
  launch_kernel(kernel, {plan.blocks(), plan.threads()}, of, plan, found);
}

template <class T>
void find_column_moments(const StatisticsCall& call, const ColumnPlan& plan, bool packs,
                         Moments<Compute<T>>* found) {
  launch_columns<ColumnMoments<T, kPackCount<T>>, ColumnMoments<T, 1>, kPackCount<T>>(
      {static_cast<const T*>(call.input)}, plan, packs, found);
}

template <class T, ReluMask kMask>
void sum_column_gradients(const ColumnGradientInput<T>& of, const ColumnPlan& plan, bool packs,
                          SumPair<Compute<T>>* found) {
  launch_columns<ColumnGradients<T, kPackCount<T>, kMask>, ColumnGradients<T, 1, kMask>,
                 kPackCount<T>>(of, plan, packs, found);
}

template <class T>
void sum_column_gradients(const ChannelSumsCall& call, const ColumnPlan& plan, bool packs,
                          SumPair<Compute<T>>* found) {
  const ReluCall& relu = call.relu;
  const ColumnGradientInput<T> of{
      static_cast<const T*>(call.input),         static_cast<const T*>(call.grad),
      static_cast<const Compute<T>*>(call.mean), per_mean(call.shape),
      static_cast<const T*>(relu.output),        static_cast<T*>(relu.masked),
      parameters_of<T>(relu.statistics)};
  if (!relu.exists) {
    sum_column_gradients<T, ReluMask::none>(of, plan, packs, found);
  } else if (relu.output == nullptr) {
    sum_column_gradients<T, ReluMask::recomputed>(of, plan, packs, found);
  } else {
    sum_column_gradients<T, ReluMask::from_output>(of, plan, packs, found);
  }
}

template <class T>
bool has_packs(const ChannelSumsCall& call) {
  return has_packs<T>(call.shape, call.relu.statistics) && is_aligned(call.input) &&
         is_aligned(call.grad) && is_aligned(call.relu.output) && is_aligned(call.relu.masked);
}

}  // namespace

void find_statistics(const StatisticsCall& call) {
  visit_floating("norm", call.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Compute<T>;
    const NormShape& shape = call.shape;
    const bool aligned = is_aligned(call.input);
    const bool packs = aligned && shape.channels % kPackCount<T> == 0;
    const bool by_columns = shape.spatial == 1;
    const Channels in = plan_channels(shape);
    const ColumnPlan plan = plan_columns(shape, packs ? kPackCount<T> : 1, kLeastRows);
    const int64_t chunks = by_columns ? plan.chunks : in.chunks;
    const taut::cuda::Scratch scratch(static_cast<size_t>(shape.channels * chunks) *
                                      sizeof(Moments<A>));
    auto* found = scratch.as<Moments<A>>();
    if (by_columns) {
      find_column_moments<T>(call, plan, packs, found);
    } else {
      launch_chunks<T>(InputMoments<T>{static_cast<const T*>(call.input)}, in, aligned, found);
    }
    const Statistics<T> to{static_cast<A*>(call.mean),
                           static_cast<A*>(call.rstd),
                           call.eps,
                           call.momentum,
                           call.is_rms,
                           {call.running_mean, call.parameter_dtype},
                           {call.running_var, call.parameter_dtype}};
    launch_kernel(finish_statistics_kernel<T>, {blocks_of_warps(shape.channels), kThreads}, found,
                  shape.channels, chunks, static_cast<double>(shape.batch * shape.spatial), to);
  });
}

void sum_channels(const ChannelSumsCall& call) {
  visit_floating("norm", call.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Compute<T>;
    const NormShape& shape = call.shape;
    const bool packs = has_packs<T>(call);
    const bool by_columns = shape.spatial == 1;
    const Channels in = plan_channels(shape);
    const ColumnPlan plan = plan_columns(shape, packs ? kPackCount<T> : 1, kLeastRows);
    const int64_t chunks = by_columns ? plan.chunks : in.chunks;
    const taut::cuda::Scratch scratch(static_cast<size_t>(shape.channels * chunks) *
                                      sizeof(SumPair<A>));
    auto* found = scratch.as<SumPair<A>>();
    if (by_columns) {
      sum_column_gradients<T>(call, plan, packs, found);
    } else {
      const GradientSums<T> of{static_cast<const T*>(call.input), static_cast<const T*>(call.grad),
                               static_cast<const A*>(call.mean), per_mean(shape)};
      launch_chunks<T>(of, in, is_aligned(call.input) && is_aligned(call.grad), found);
    }
    launch_kernel(finish_sums_kernel<A>, {blocks_of_warps(shape.channels), kThreads}, found,
                  shape.channels, chunks, call.sums);
  });
}

}  // namespace taut::kernels::cuda
