#pragma once
// Sums down the columns of a (rows, channels) matrix; see columns_cuda.cuh. What each chunk of rows
// gives stands at found[channel * chunks + chunk].

#include "kernels/norm/columns_cuda.cuh"
#include "kernels/norm/moments_cuda.cuh"

namespace taut::kernels::cuda {

/// The packs of the rows that a thread takes at once, in the compute type; zeros for those that are
/// not there.
template <class T, int kPack>
struct ColumnRows {
  Compute<T> values[kColumnRows][kPack];

  __device__ void widen(const Pack<T, kPack> (&packs)[kColumnRows]) {
#pragma unroll
    for (int u = 0; u < kColumnRows; ++u) widen_words<T>(packs[u], values[u]);
  }
};

template <class T>
struct ColumnInput {
  const T* input;
};

/// A thread's moments of a pack of columns.
template <class T, int kPack>
class ColumnMoments {
 public:
  using A = Compute<T>;
  using Found = Moments<A>;
  using Fold = MergeMoments;
  using Of = ColumnInput<T>;

  __device__ ColumnMoments(const Of& of, int64_t) : input_(of.input) {}
  __device__ void add(int64_t at, int64_t step, int count) {
    Pack<T, kPack> packs[kColumnRows];
    load_rows(input_, at, step, count, packs);
    ColumnRows<T, kPack> x;
    x.widen(packs);
    // Most batches are whole, and cheaper.
    count == kColumnRows ? take<true>(x, count) : take<false>(x, count);
  }
  __device__ Found found(int e) const { return {count_, mean_[e], m2_[e]}; }

 private:
  // As MergeMoments, but all columns share the counts.
  template <bool kIsWhole>
  __device__ void take(const ColumnRows<T, kPack>& x, int count) {
    const A more = static_cast<A>(count);
    const A share = more / (count_ + more), weight = count_ * share;
#pragma unroll
    for (int e = 0; e < kPack; ++e) {
      A sum = 0;
#pragma unroll
      for (int u = 0; u < kColumnRows; ++u) sum += x.values[u][e];
      const A mean = kIsWhole ? sum * (A(1) / kColumnRows) : sum / more;
      A m2 = 0;
#pragma unroll
      for (int u = 0; u < kColumnRows; ++u) {
        const A away = kIsWhole || u < count ? x.values[u][e] - mean : A(0);
        m2 += away * away;
      }
      const A delta = mean - mean_[e];
      mean_[e] += delta * share;
      m2_[e] += m2 + delta * delta * weight;
    }
    count_ += more;
  }

  const T* input_;
  A count_ = 0;
  A mean_[kPack] = {}, m2_[kPack] = {};
};

/// Which gradients a relu behind the norm lets through.
enum class ReluMask : uint8_t {
  none,        // there is no relu
  recomputed,  // where what the norm gives is positive
  from_output  // where the output is, in which a residual was added
};

template <class T>
struct ColumnGradientInput {
  const T* input;
  const T* grad;
  const Compute<T>* mean;  // may be null
  int64_t per_mean;
  const T* output;                 // from_output
  T* masked;                       // from_output: the gradients let through go here
  ColumnParameters<T> parameters;  // recomputed
};

/// A thread's sums of g and g (x - mean) of a pack of columns.
template <class T, int kPack, ReluMask kMask>
class ColumnGradients {
 public:
  using A = Compute<T>;
  using Found = SumPair<A>;
  using Fold = AddPairs;
  using Of = ColumnGradientInput<T>;

  __device__ ColumnGradients(const Of& of, int64_t channel) : of_(of) {
#pragma unroll
    for (int e = 0; e < kPack; ++e) {
      center_[e] = of.mean == nullptr ? A(0) : of.mean[(channel + e) / of.per_mean];
    }
    if constexpr (kMask == ReluMask::recomputed) {
      affine_ = of.parameters.template load<kPack>(channel);
    }
  }
  __device__ void add(int64_t at, int64_t step, int count) {
    Pack<T, kPack> x_packs[kColumnRows], g_packs[kColumnRows], y_packs[kColumnRows];
    load_rows(of_.input, at, step, count, x_packs);
    load_rows(of_.grad, at, step, count, g_packs);
    if constexpr (kMask == ReluMask::from_output) {
      load_rows(of_.output, at, step, count, y_packs);
    }
    ColumnRows<T, kPack> x, g;
    x.widen(x_packs);
    g.widen(g_packs);
    if constexpr (kMask == ReluMask::from_output) {
      ColumnRows<T, kPack> y;
      y.widen(y_packs);
#pragma unroll
      for (int u = 0; u < kColumnRows; ++u) {
#pragma unroll
        for (int e = 0; e < kPack; ++e) {
          g.values[u][e] = relu_gradient(g.values[u][e], y.values[u][e]);
        }
        if (u < count) store_narrowed<kPack>(of_.masked + at + u * step, g.values[u]);
      }
    }
#pragma unroll
    for (int u = 0; u < kColumnRows; ++u) {
      if (u >= count) continue;
#pragma unroll
      for (int e = 0; e < kPack; ++e) take(e, x.values[u][e], g.values[u][e]);
    }
  }
  __device__ Found found(int e) const { return {grads_[e], centered_[e]}; }

 private:
  __device__ void take(int e, A x, A g) {
    if constexpr (kMask == ReluMask::recomputed) {
      g = relu_gradient(g, widen(narrow<T>(affine_.at(e, x))));
    }
    grads_[e] += g;
    centered_[e] += g * (x - center_[e]);
  }

  const Of& of_;
  A center_[kPack];
  ColumnAffine<T, kPack> affine_;
  A grads_[kPack] = {}, centered_[kPack] = {};
};

template <class Columns, int kPack>
__global__ void __launch_bounds__(kColumnThreads)
    sum_columns_kernel(const __grid_constant__ typename Columns::Of of,
                       const __grid_constant__ ColumnPlan plan, typename Columns::Found* found) {
  wait_for_stream();
  using Found = typename Columns::Found;
  const ColumnPlace place(plan, kPack);
  Columns mine(of, place.exists ? place.channel : 0);
  for (int64_t row = place.row; row < place.end; row += int64_t{plan.height} * kColumnRows) {
    mine.add(row * plan.channels + place.channel, plan.height * plan.channels,
             place.rows_from(row, plan));
  }
  __shared__ alignas(16) unsigned char memory[kColumnThreads * kPack * sizeof(Found)];
  auto* partial = reinterpret_cast<Found*>(memory);
  const int columns = plan.width * kPack;
#pragma unroll
  for (int e = 0; e < kPack; ++e) {
    partial[threadIdx.y * columns + threadIdx.x * kPack + e] = mine.found(e);
  }
  __syncthreads();
  const int column = static_cast<int>(threadIdx.y) * plan.width + static_cast<int>(threadIdx.x);
  const int64_t tile = blockIdx.x - place.chunk * plan.tiles;
  const int64_t channel = tile * columns + column;
  if (column >= columns || channel >= plan.channels) return;
  Found all = partial[column];
  for (int y = 1; y < plan.height; ++y) {
    all = typename Columns::Fold{}(all, partial[y * columns + column]);
  }
  found[channel * plan.chunks + place.chunk] = all;
}

}  // namespace taut::kernels::cuda
