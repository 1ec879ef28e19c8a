#pragma once
// Norms of a (rows, channels) matrix whose statistics belong to the columns: batch norm where the
// channels lie side by side, as in (batch, features) and in channels_last.
//
// A block takes some rows of a tile of columns. Its threads lie `width` packs across and `height`
// rows down; each keeps to its pack of channels, so that what belongs to channels is loaded once.

#include "kernels/norm/norm_steps_cuda.h"
#include "kernels/norm/parameter_cuda.cuh"

namespace taut::kernels::cuda {

constexpr int kColumnThreads = 256;
/// Rows that a thread loads before it uses the first.
constexpr int kColumnRows = 4;

struct ColumnPlan {
  int64_t rows, channels;
  int64_t tiles, chunks;  // of columns, of rows
  int64_t chunk_rows;
  int width, height;

  unsigned blocks() const { return static_cast<unsigned>(tiles * chunks); }
  dim3 threads() const { return {static_cast<unsigned>(width), static_cast<unsigned>(height)}; }
};

/// Cut by the sizes alone, so that sums come out the same each time. A thread gets `least_rows` or
/// more where there are so many.
inline ColumnPlan plan_columns(const NormShape& shape, int pack, int64_t least_rows) {
  const auto ceil_divide = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  constexpr int64_t kBlocks = 1056;  // some for each multiprocessor of any GPU
  ColumnPlan plan;
  plan.rows = shape.batch;
  plan.channels = shape.channels;
  const int64_t packs = ceil_divide(shape.channels, pack);
  plan.width = 1;
  while (plan.width < 32 && plan.width < packs) plan.width *= 2;
  plan.height = kColumnThreads / plan.width;
  plan.tiles = ceil_divide(packs, plan.width);
  const int64_t most = ceil_divide(shape.batch, plan.height * least_rows);
  const int64_t wanted = ceil_divide(kBlocks, plan.tiles);
  plan.chunk_rows = ceil_divide(shape.batch, wanted < most ? wanted : most);
  plan.chunks = ceil_divide(shape.batch, plan.chunk_rows);
  return plan;
}

/// Where a thread works.
struct ColumnPlace {
  int64_t chunk;
  int64_t channel;   // the first of its pack
  int64_t row, end;  // the first of its rows, and where the chunk ends
  bool exists;

  __device__ ColumnPlace(const ColumnPlan& plan, int pack) {
    chunk = blockIdx.x / plan.tiles;
    const int64_t tile = blockIdx.x - chunk * plan.tiles;
    channel = (tile * plan.width + threadIdx.x) * pack;
    exists = channel < plan.channels;
    const int64_t begin = chunk * plan.chunk_rows;
    row = begin + threadIdx.y;
    end = begin + plan.chunk_rows < plan.rows ? begin + plan.chunk_rows : plan.rows;
    if (!exists) end = row;
  }
  /// How many of the kColumnRows rows from `from` on there are, `height` apart.
  __device__ int rows_from(int64_t from, const ColumnPlan& plan) const {
    int count = 1;
#pragma unroll
    for (int u = 1; u < kColumnRows; ++u) count += from + int64_t{u} * plan.height < end;
    return count;
  }
};

/// The packs of those rows, `step` elements apart; zeros for rows that are not there.
template <class T, int kPack>
__device__ inline void load_rows(const T* from, int64_t at, int64_t step, int count,
                                 Pack<T, kPack> (&packs)[kColumnRows]) {
#pragma unroll
  for (int u = 0; u < kColumnRows; ++u) {
    packs[u] = {};
    if (u < count) packs[u] = load_pack<kPack>(from + at + u * step);
  }
}

/// What a batch norm does to a pack of channels: (x - mean) scale + bias.
template <class T, int kPack>
struct ColumnAffine {
  using A = Compute<T>;
  A mean[kPack], scale[kPack], bias[kPack];

  // One rounding each, so that each kernel finds the same sign.
  __device__ A at(int e, A x) const { return fma(x - mean[e], scale[e], bias[e]); }
};

/// Where the numbers of ColumnAffine come from: statistics of the batch, or running ones.
template <class T>
struct ColumnParameters {
  using A = Compute<T>;
  const A* mean;  // null: the running statistics are taken
  const A* rstd;
  Parameter<T> running_mean, running_var;
  double eps;
  Parameter<T> weight, bias;

  template <int kPack>
  __device__ ColumnAffine<T, kPack> load(int64_t channel) const {
    ColumnAffine<T, kPack> of;
    A weights[kPack];
    weight.template load<kPack>(channel, A(1), weights);
    bias.template load<kPack>(channel, A(0), of.bias);
    if (mean != nullptr) {
      load_widened<kPack>(mean + channel, of.mean);
      load_widened<kPack>(rstd + channel, of.scale);
    } else {
      running_mean.template load<kPack>(channel, A(0), of.mean);
      running_var.template load<kPack>(channel, A(1), of.scale);
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        of.scale[e] = static_cast<A>(1.0 / sqrt(static_cast<double>(of.scale[e]) + eps));
      }
    }
#pragma unroll
    for (int e = 0; e < kPack; ++e) of.scale[e] *= weights[e];
    return of;
  }
};

template <class T>
ColumnParameters<T> parameters_of(const ColumnStatistics& given) {
  using A = Compute<T>;
  return {static_cast<const A*>(given.mean),
          static_cast<const A*>(given.rstd),
          {given.running_mean, given.parameter_dtype},
          {given.running_var, given.parameter_dtype},
          given.eps,
          {given.weight, given.parameter_dtype},
          {given.bias, given.parameter_dtype}};
}

/// Whether packs of channels can be loaded of all of them.
template <class T>
bool has_packs(const NormShape& shape, const ColumnStatistics& of) {
  return shape.channels % kPackCount<T> == 0 && is_aligned(of.mean) && is_aligned(of.rstd) &&
         is_aligned(of.running_mean) && is_aligned(of.running_var) && is_aligned(of.weight) &&
         is_aligned(of.bias);
}

/// The gradient of max(y, 0), as the op relu has it.
template <class A>
__device__ inline A relu_gradient(A grad, A y) {
  return y > A(0) ? grad : grad * A(0);
}

}  // namespace taut::kernels::cuda
