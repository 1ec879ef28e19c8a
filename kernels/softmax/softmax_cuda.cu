// softmax and log_softmax on CUDA; see Note [Softmax rows].

#include "kernels/api/softmax.h"
#include "kernels/softmax/online_cuda.cuh"
#include "kernels/softmax/softmax_parts_cuda.h"
#include "kernels/softmax/softmax_plan_cuda.cuh"

namespace taut::kernels {
namespace {

using namespace cuda;

/// Elements of a long row to a thread.
template <class T>
constexpr int kMany = sizeof(T) == 8 ? 16 : 32;

template <class T, bool kIsLog, int kItems, int kPack>
__global__ void __launch_bounds__(kMaxLanes, 1)
    softmax_row_kernel(const T* x, T* y, int64_t rows, int n, int lanes) {
  wait_for_stream();
  using A = Compute<T>;
  const RowTeam team(lanes);
  const int64_t start = team.row * n;
  const int length = team.row < rows ? n : 0;
  A values[kItems];
  load_row<kPack>(team, x + start, length, lowest<A>(), values);
  A highest = values[0];
#pragma unroll
  for (int e = 1; e < kItems; ++e) highest = Max{}(highest, values[e]);
  highest = team.fold(highest, Max{});
  A sum = 0;
#pragma unroll
  for (int e = 0; e < kItems; ++e) {
    const A term = exp(values[e] - highest);
    sum += term;
    values[e] = kIsLog ? values[e] - highest : term;
  }
  sum = team.fold(sum, Sum{});
  const A last = kIsLog ? log(sum) : A(1) / sum;
#pragma unroll
  for (int e = 0; e < kItems; ++e) values[e] = kIsLog ? values[e] - last : values[e] * last;
  store_row<kPack>(team, y + start, length, values);
}

// ---- Rows longer than the registers of a block --------------------------------------------------

template <class A>
__device__ MaxSum<A> fold_block(MaxSum<A> value) {
  return RowTeam(kLongThreads).fold(value, Merge{});
}

template <class T>
__global__ void __launch_bounds__(kLongThreads)
    softmax_measure_kernel(const T* x, MaxSum<Compute<T>>* found, int64_t n, int64_t per_row,
                           int64_t size) {
  wait_for_stream();
  using A = Compute<T>;
  const Chunk chunk(n, per_row, size);
  const T* row = x + chunk.row * n;
  MaxSum<A> mine = MaxSum<A>::nothing();
  for (int64_t i = chunk.begin + threadIdx.x; i < chunk.end; i += kLongThreads * kLongUnroll) {
    A values[kLongUnroll];
#pragma unroll
    for (int e = 0; e < kLongUnroll; ++e) {
      const int64_t at = i + e * kLongThreads;
      values[e] = at < chunk.end ? widen(row[at]) : lowest<A>();
    }
    mine.take(values);
  }
  mine = fold_block(mine);
  if (threadIdx.x == 0) found[blockIdx.x] = mine;
}

template <class T, bool kIsLog>
__global__ void __launch_bounds__(kLongThreads)
    softmax_write_kernel(const T* x, T* y, const MaxSum<Compute<T>>* found, int64_t n,
                         int64_t per_row, int64_t size) {
  wait_for_stream();
  using A = Compute<T>;
  const Chunk chunk(n, per_row, size);
  const bool has_part = threadIdx.x < per_row;
  const MaxSum<A> row =
      fold_block(has_part ? found[chunk.row * per_row + threadIdx.x] : MaxSum<A>::nothing());
  const A last = kIsLog ? log(row.sum) : A(1) / row.sum;
  const int64_t start = chunk.row * n;
#pragma unroll 4
  for (int64_t i = chunk.begin + threadIdx.x; i < chunk.end; i += kLongThreads) {
    const A centered = widen(x[start + i]) - row.highest;
    y[start + i] = narrow<T>(kIsLog ? centered - last : exp(centered) * last);
  }
}

// ---- inner > 1 ----------------------------------------------------------------------------------

template <class T, bool kIsLog>
__global__ void __launch_bounds__(kMaxLanes, 1)
    softmax_column_kernel(const T* x, T* y, int64_t dim, int64_t inner, int64_t column_tiles) {
  wait_for_stream();
  using A = Compute<T>;
  const Column column(dim, inner, column_tiles);
  MaxSum<A> mine = MaxSum<A>::nothing();
  if (column.exists) {
    for (int64_t k = threadIdx.y; k < dim; k += blockDim.y) {
      const A value[1] = {widen(x[column.start + k * inner])};
      mine.take(value);
    }
  }
  const MaxSum<A> all = fold_column(mine, Merge{});
  if (!column.exists) return;
  const A last = kIsLog ? log(all.sum) : A(1) / all.sum;
  for (int64_t k = threadIdx.y; k < dim; k += blockDim.y) {
    const int64_t at = column.start + k * inner;
    const A centered = widen(x[at]) - all.highest;
    y[at] = narrow<T>(kIsLog ? centered - last : exp(centered) * last);
  }
}

// ---- Launchers ----------------------------------------------------------------------------------

template <class T, bool kIsLog, int kItems, int kPack>
void launch_rows(const SoftmaxArgs& args) {
  const TeamPlan plan = plan_teams(args.outer, (args.dim + kItems - 1) / kItems);
  launch_kernel(softmax_row_kernel<T, kIsLog, kItems, kPack>, {plan.blocks, plan.threads},
                static_cast<const T*>(args.input), static_cast<T*>(args.output), args.outer,
                static_cast<int>(args.dim), plan.lanes);
}

template <class T, bool kIsLog, int kItems>
void launch_rows(const SoftmaxArgs& args) {
  if (is_packable<T>(args.dim, args.input, args.output)) {
    launch_rows<T, kIsLog, kItems, kPackCount<T>>(args);
  } else {
    launch_rows<T, kIsLog, kItems, 1>(args);
  }
}

// Whether threads get kMany elements of rows that kFew would do for.
template <class T>
bool prefers_many(const SoftmaxArgs& args) {
  return args.dim > kFew * kWarp && is_packable<T>(args.dim, args.input, args.output) &&
         fills_chip(args.outer, args.dim, kMany<T>);
}

template <class T, bool kIsLog>
void launch_long_rows(const SoftmaxArgs& args) {
  const ChunkPlan plan = plan_chunks(args.outer, args.dim);
  const int64_t chunks = args.outer * plan.per_row;
  const taut::cuda::Scratch scratch(static_cast<size_t>(chunks) * sizeof(MaxSum<Compute<T>>));
  auto* found = scratch.as<MaxSum<Compute<T>>>();
  const auto* x = static_cast<const T*>(args.input);
  const auto blocks = static_cast<unsigned>(chunks);
  launch_kernel(softmax_measure_kernel<T>, {blocks, kLongThreads}, x, found, args.dim, plan.per_row,
                plan.size);
  launch_kernel(softmax_write_kernel<T, kIsLog>, {blocks, kLongThreads}, x,
                static_cast<T*>(args.output), found, args.dim, plan.per_row, plan.size);
}

template <class T, bool kIsLog>
void launch_columns(const SoftmaxArgs& args) {
  const ColumnPlan plan = plan_columns(args.outer, args.dim, args.inner);
  const dim3 threads(kColumnLanes, static_cast<unsigned>(plan.warps));
  launch_kernel(softmax_column_kernel<T, kIsLog>, {plan.blocks, threads},
                static_cast<const T*>(args.input), static_cast<T*>(args.output), args.dim,
                args.inner, plan.column_tiles);
}

template <bool kIsLog>
void softmax_forward(const SoftmaxArgs& args) {
  if (args.outer * args.dim * args.inner == 0) return;
  const char* name = kIsLog ? "log_softmax" : "softmax";
  visit_floating(name, args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (args.inner > 1) {
      launch_columns<T, kIsLog>(args);
    } else if (args.dim <= kFew * kMaxLanes && !prefers_many<T>(args)) {
      launch_rows<T, kIsLog, kFew>(args);
    } else if (args.dim <= kMany<T> * kMaxLanes) {
      launch_rows<T, kIsLog, kMany<T>>(args);
    } else {
      launch_long_rows<T, kIsLog>(args);
    }
  });
  check_launch(name);
}

}  // namespace

SoftmaxKernels softmax_kernels_cuda() {
  SoftmaxKernels table;
  table.softmax = softmax_forward<false>;
  table.log_softmax = softmax_forward<true>;
  cuda::fill_softmax_backward(table);
  cuda::fill_cross_entropy(table);
  return table;
}

}  // namespace taut::kernels
