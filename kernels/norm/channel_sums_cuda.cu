// What norms sum over channels: the moments of the input, and the gradient beside it. See
// Note [Norms by steps].
//
// The elements of a channel are cut into chunks by its size and the number of channels alone. A
// team of threads takes a chunk and leaves what it finds in scratch memory; a warp for each channel
// brings the chunks together, in their order and in double.

#include "kernels/api/fast_index.cuh"
#include "kernels/api/row_team.cuh"
#include "kernels/norm/moments_cuda.cuh"
#include "kernels/norm/norm_steps_cuda.h"
#include "kernels/norm/parameter_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

constexpr int kChunkThreads = 512;
constexpr int64_t kShortestChunk = 4096;  // elements
constexpr int64_t kElementsPerThread = 16;
constexpr int kColumnWarps = 16;
constexpr int64_t kShortestColumn = 128;  // rows

/// Elements that a thread loads before it uses the first.
template <int kPack>
constexpr int kBatch = kPack > 4 ? 2 * kPack : 8;

/// Where the elements of channels lie, and how they are cut.
struct Channels {
  int64_t batch, channels, spatial;
  int64_t chunks, chunk_size;  // of a channel; the size in elements, or rows where spatial is 1
  int64_t per_mean;            // channels that share a mean
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

// spatial > 1: a chunk is a stretch of a channel's batch * spatial elements.
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

// spatial == 1: a chunk is some rows of the (batch, channels) matrix, threads side by side.
template <class T, class Of>
__global__ void __launch_bounds__(kWarp* kColumnWarps)
    sum_columns_kernel(const __grid_constant__ Of of, const __grid_constant__ Channels in,
                       typename Of::Found* found) {
  wait_for_stream();
  using A = Compute<T>;
  constexpr int kRows = 8;
  const int64_t tile = blockIdx.x / in.chunks;
  const int64_t chunk = blockIdx.x - tile * in.chunks;
  const int64_t channel = tile * kWarp + threadIdx.x;
  const bool exists = channel < in.channels;
  const int64_t begin = chunk * in.chunk_size;
  const int64_t last = begin + in.chunk_size;
  const int64_t end = !exists ? 0 : last < in.batch ? last : in.batch;
  const A center = exists ? of.center(channel) : A(0);
  auto mine = Of::Fold::template identity<typename Of::Found>();
  for (int64_t row = begin + threadIdx.y; row < end; row += kColumnWarps * kRows) {
    A x[kRows], g[kRows];
    int count = 0;
#pragma unroll
    for (int u = 0; u < kRows; ++u) {
      const int64_t at = row + u * kColumnWarps;
      x[u] = g[u] = A(0);
      if (at >= end) continue;
      x[u] = widen(of.input[at * in.channels + channel]);
      if constexpr (Of::reads_grad) g[u] = widen(grad_of(of, of.input)[at * in.channels + channel]);
      ++count;
    }
    of.take(mine, x, g, count, center);
  }
  __shared__ alignas(16) unsigned char memory[kColumnWarps * kWarp * sizeof(typename Of::Found)];
  auto* partial = reinterpret_cast<typename Of::Found*>(memory);
  partial[threadIdx.y * kWarp + threadIdx.x] = mine;
  __syncthreads();
  if (threadIdx.y != 0 || !exists) return;
  for (int warp = 1; warp < kColumnWarps; ++warp) {
    mine = typename Of::Fold{}(mine, partial[warp * kWarp + threadIdx.x]);
  }
  found[channel * in.chunks + chunk] = mine;
}

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t clamp_chunks(int64_t wanted, int64_t most) {
  if (wanted > most) wanted = most;
  return wanted < 1 ? 1 : wanted;
}

Channels plan_channels(const NormShape& shape) {
  Channels in;
  in.batch = shape.batch;
  in.channels = shape.channels;
  in.spatial = shape.spatial;
  in.per_mean = shape.per_group == 0 ? 1 : shape.per_group;
  const int64_t n = shape.batch * shape.spatial;
  in.by_spatial = Divider(shape.spatial, n);
  const int64_t blocks = int64_t{8} * multiprocessors();
  if (shape.spatial == 1) {
    const int64_t tiles = ceil_divide(shape.channels, kWarp);
    in.chunks = clamp_chunks(ceil_divide(blocks, tiles), ceil_divide(n, kShortestColumn));
    in.chunk_size = ceil_divide(n, in.chunks);
  } else {
    in.chunks = clamp_chunks(ceil_divide(blocks, shape.channels), n / kShortestChunk);
    // Whole packs, whatever their size.
    in.chunk_size = ceil_divide(ceil_divide(n, in.chunks), 16) * 16;
  }
  in.chunks = ceil_divide(n, in.chunk_size);
  in.lanes = 0;
  return in;
}

template <class T, class Of>
void launch_chunks(const Of& of, Channels in, bool aligned, typename Of::Found* found) {
  if (in.spatial == 1) {
    const auto blocks = static_cast<unsigned>(ceil_divide(in.channels, kWarp) * in.chunks);
    launch_kernel(sum_columns_kernel<T, Of>, {blocks, dim3(kWarp, kColumnWarps)}, of, in, found);
    return;
  }
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
  auto all = Moments<double>::none();
  for (int64_t k = team.lane; exists && k < chunks; k += kWarp) {
    const Moments<A> part = found[team.row * chunks + k];
    const Moments<double> wide{static_cast<double>(part.count), static_cast<double>(part.mean),
                               static_cast<double>(part.m2)};
    all = MergeMoments{}(all, wide);
  }
  all = team.fold(all, MergeMoments{});
  if (!exists || team.lane != 0) return;
  const A mean = static_cast<A>(all.mean);
  const A variance = static_cast<A>(all.m2 / n + (to.is_rms ? all.mean * all.mean : 0.0));
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

template <class Found>
size_t bytes_of(const Channels& in) {
  return static_cast<size_t>(in.channels * in.chunks) * sizeof(Found);
}

}  // namespace

void find_statistics(const StatisticsCall& call) {
  const Channels in = plan_channels(call.shape);
  visit_floating("norm", call.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Compute<T>;
    const taut::cuda::Scratch scratch(bytes_of<Moments<A>>(in));
    auto* found = scratch.as<Moments<A>>();
    launch_chunks<T>(InputMoments<T>{static_cast<const T*>(call.input)}, in, is_aligned(call.input),
                     found);
    const Statistics<T> to{static_cast<A*>(call.mean),
                           static_cast<A*>(call.rstd),
                           call.eps,
                           call.momentum,
                           call.is_rms,
                           {call.running_mean, call.parameter_dtype},
                           {call.running_var, call.parameter_dtype}};
    launch_kernel(finish_statistics_kernel<T>, {blocks_of_warps(in.channels), kThreads}, found,
                  in.channels, in.chunks, static_cast<double>(in.batch * in.spatial), to);
  });
}

void sum_channels(const ChannelSumsCall& call) {
  const Channels in = plan_channels(call.shape);
  visit_floating("norm", call.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Compute<T>;
    const taut::cuda::Scratch scratch(bytes_of<SumPair<A>>(in));
    auto* found = scratch.as<SumPair<A>>();
    const GradientSums<T> of{static_cast<const T*>(call.input), static_cast<const T*>(call.grad),
                             static_cast<const A*>(call.mean), in.per_mean};
    launch_chunks<T>(of, in, is_aligned(call.input) && is_aligned(call.grad), found);
    launch_kernel(finish_sums_kernel<A>, {blocks_of_warps(in.channels), kThreads}, found,
                  in.channels, in.chunks, call.sums);
  });
}

}  // namespace taut::kernels::cuda
