// The gradients of softmax and log_softmax on CUDA; see Note [Softmax rows].

#include "kernels/softmax/softmax_parts_cuda.h"
#include "kernels/softmax/softmax_plan_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

/// Elements of a long row to a thread, of both operands.
template <class T>
constexpr int kMany = sizeof(T) == 8 ? 8 : 16;

// What the sum of the backward runs over: g y for softmax, g for log_softmax.
template <bool kIsLog, class A>
__device__ inline A term(A g, A y) {
  return kIsLog ? g : g * y;
}

template <bool kIsLog, class A>
__device__ inline A gradient(A g, A y, A sum) {
  return kIsLog ? g - exp(y) * sum : y * (g - sum);
}

template <class T, bool kIsLog, int kItems, int kPack>
__global__ void __launch_bounds__(kMaxLanes, 1)
    gradient_row_kernel(const T* g, const T* y, T* grad, int64_t rows, int n, int lanes) {
  wait_for_stream();
  using A = Compute<T>;
  const RowTeam team(lanes);
  const int64_t start = team.row * n;
  const int length = team.row < rows ? n : 0;
  A gs[kItems], ys[kItems];
  load_row<kPack>(team, g + start, length, A(0), gs);
  load_row<kPack>(team, y + start, length, A(0), ys);
  A sum = 0;
#pragma unroll
  for (int e = 0; e < kItems; ++e) sum += term<kIsLog>(gs[e], ys[e]);
  sum = team.fold(sum, Sum{});
#pragma unroll
  for (int e = 0; e < kItems; ++e) gs[e] = gradient<kIsLog>(gs[e], ys[e], sum);
  store_row<kPack>(team, grad + start, length, gs);
}

template <class T, bool kIsLog>
__global__ void __launch_bounds__(kLongThreads)
    gradient_measure_kernel(const T* g, const T* y, Compute<T>* found, int64_t n, int64_t per_row,
                            int64_t size) {
  wait_for_stream();
  using A = Compute<T>;
  const Chunk chunk(n, per_row, size);
  const int64_t start = chunk.row * n;
  A sum = 0;
#pragma unroll 4
  for (int64_t i = chunk.begin + threadIdx.x; i < chunk.end; i += kLongThreads) {
    sum += term<kIsLog>(widen(g[start + i]), kIsLog ? A(0) : widen(y[start + i]));
  }
  sum = RowTeam(kLongThreads).fold(sum, Sum{});
  if (threadIdx.x == 0) found[blockIdx.x] = sum;
}

template <class T, bool kIsLog>
__global__ void __launch_bounds__(kLongThreads)
    gradient_write_kernel(const T* g, const T* y, T* grad, const Compute<T>* found, int64_t n,
                          int64_t per_row, int64_t size) {
  wait_for_stream();
  using A = Compute<T>;
  const Chunk chunk(n, per_row, size);
  const bool has_part = threadIdx.x < per_row;
  const A part = has_part ? found[chunk.row * per_row + threadIdx.x] : A(0);
  const A sum = RowTeam(kLongThreads).fold(part, Sum{});
  const int64_t start = chunk.row * n;
#pragma unroll 4
  for (int64_t i = chunk.begin + threadIdx.x; i < chunk.end; i += kLongThreads) {
    const int64_t at = start + i;
    grad[at] = narrow<T>(gradient<kIsLog>(widen(g[at]), widen(y[at]), sum));
  }
}

template <class T, bool kIsLog>
__global__ void __launch_bounds__(kMaxLanes, 1)
    gradient_column_kernel(const T* g, const T* y, T* grad, int64_t dim, int64_t inner,
                           int64_t column_tiles) {
  wait_for_stream();
  using A = Compute<T>;
  const Column column(dim, inner, column_tiles);
  A sum = 0;
  if (column.exists) {
    for (int64_t k = threadIdx.y; k < dim; k += blockDim.y) {
      const int64_t at = column.start + k * inner;
      sum += term<kIsLog>(widen(g[at]), kIsLog ? A(0) : widen(y[at]));
    }
  }
  sum = fold_column(sum, Sum{});
  if (!column.exists) return;
  for (int64_t k = threadIdx.y; k < dim; k += blockDim.y) {
    const int64_t at = column.start + k * inner;
    grad[at] = narrow<T>(gradient<kIsLog>(widen(g[at]), widen(y[at]), sum));
  }
}

// The operands of a call as what they are.
template <class T>
struct Operands {
  const T* g;
  const T* y;
  T* grad;
  explicit Operands(const SoftmaxBackwardArgs& args)
      : g(static_cast<const T*>(args.grad_output)),
        y(static_cast<const T*>(args.output)),
        grad(static_cast<T*>(args.grad_input)) {}
};

template <class T, bool kIsLog, int kItems>
void launch_rows(const SoftmaxBackwardArgs& args) {
  const Operands<T> of(args);
  const TeamPlan plan = plan_teams(args.outer, (args.dim + kItems - 1) / kItems);
  const auto kernel = is_packable<T>(args.dim, of.g, of.y, of.grad)
                          ? &gradient_row_kernel<T, kIsLog, kItems, kPackCount<T>>
                          : &gradient_row_kernel<T, kIsLog, kItems, 1>;
  launch_kernel(kernel, {plan.blocks, plan.threads}, of.g, of.y, of.grad, args.outer,
                static_cast<int>(args.dim), plan.lanes);
}

template <class T, bool kIsLog>
void launch_long_rows(const SoftmaxBackwardArgs& args) {
  const Operands<T> of(args);
  const ChunkPlan plan = plan_chunks(args.outer, args.dim);
  const int64_t chunks = args.outer * plan.per_row;
  const taut::cuda::Scratch scratch(static_cast<size_t>(chunks) * sizeof(Compute<T>));
  auto* found = scratch.as<Compute<T>>();
  const auto blocks = static_cast<unsigned>(chunks);
  launch_kernel(gradient_measure_kernel<T, kIsLog>, {blocks, kLongThreads}, of.g, of.y, found,
                args.dim, plan.per_row, plan.size);
  launch_kernel(gradient_write_kernel<T, kIsLog>, {blocks, kLongThreads}, of.g, of.y, of.grad,
                found, args.dim, plan.per_row, plan.size);
}

template <class T, bool kIsLog>
void launch_columns(const SoftmaxBackwardArgs& args) {
  const Operands<T> of(args);
  const ColumnPlan plan = plan_columns(args.outer, args.dim, args.inner);
  const dim3 threads(kColumnLanes, static_cast<unsigned>(plan.warps));
  launch_kernel(gradient_column_kernel<T, kIsLog>, {plan.blocks, threads}, of.g, of.y, of.grad,
                args.dim, args.inner, plan.column_tiles);
}

template <bool kIsLog>
void softmax_gradient(const SoftmaxBackwardArgs& args) {
  if (args.outer * args.dim * args.inner == 0) return;
  const char* name = kIsLog ? "log_softmax_backward" : "softmax_backward";
  visit_floating(name, args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (args.inner > 1) {
      launch_columns<T, kIsLog>(args);
    } else if (args.dim <= kFew * kMaxLanes) {
      launch_rows<T, kIsLog, kFew>(args);
    } else if (kMany<T> > kFew && args.dim <= kMany<T> * kMaxLanes) {
      launch_rows<T, kIsLog, kMany<T>>(args);
    } else {
      launch_long_rows<T, kIsLog>(args);
    }
  });
  check_launch(name);
}

}  // namespace

void fill_softmax_backward(SoftmaxKernels& table) {
  table.softmax_backward = softmax_gradient<false>;
  table.log_softmax_backward = softmax_gradient<true>;
}

}  // namespace taut::kernels::cuda
