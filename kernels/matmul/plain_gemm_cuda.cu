#include "kernels/api/cuda_launch.cuh"
#include "kernels/matmul/plain_gemm.h"

namespace taut::kernels::cuda {
namespace {

constexpr int kTile = 16;
constexpr unsigned kMaxGridZ = 65535;

// What the elements of a dtype are summed in: integers wrap as on the CPU.
template <class T>
struct SumType {
  using type = std::conditional_t<std::is_integral_v<T>, int64_t, Compute<T>>;
};

template <class T>
struct GemmView {
  const T* a;
  const T* b;
  T* c;
  const T* bias;
  int64_t m, n, k;
  int64_t a_row, a_col, b_row, b_col, c_row, c_col, bias_stride;
  int64_t batch;
  StridedIndex<3> index;
  double alpha, beta;
  Activation activation;
};

template <class S>
__device__ S activate(S x, Activation activation) {
  if constexpr (std::is_floating_point_v<S>) {
    switch (activation) {
      case Activation::relu: return x > S(0) || x != x ? x : S(0);
      case Activation::gelu: return x * S(0.5) * (S(1) + erf(x * S(0.70710678118654752440)));
      case Activation::gelu_tanh: {
        const S inner = S(0.79788456080286535588) * (x + S(0.044715) * x * x * x);
        return x * S(0.5) * (S(1) + tanh(inner));
      }
      default: break;
    }
  }
  return x;
}

template <class T, class S>
__device__ void finish(const GemmView<T>& view, S sum, int64_t row, int64_t col, T* c) {
  T& target = c[row * view.c_row + col * view.c_col];
  if constexpr (std::is_floating_point_v<S>) {
    S value = static_cast<S>(view.alpha) * sum;
    if (view.beta != 0) value += static_cast<S>(view.beta) * widen(target);
    if (view.bias != nullptr) value += widen(view.bias[col * view.bias_stride]);
    target = narrow<T>(activate(value, view.activation));
  } else {
    // By way of a signed integer: a GPU makes 0 of a negative number that becomes unsigned.
    S value = static_cast<S>(static_cast<int64_t>(view.alpha)) * sum;
    const auto beta = static_cast<S>(static_cast<int64_t>(view.beta));
    if (beta != 0) value += beta * static_cast<S>(target);
    if (view.bias != nullptr) value += static_cast<S>(view.bias[col * view.bias_stride]);
    target = static_cast<T>(value);
  }
}

// A block makes a tile of c; the batches beyond the grid's depth follow in turn.
template <class T>
__global__ void plain_gemm_kernel(const GemmView<T> view) {
  wait_for_stream();
  using S = typename SumType<T>::type;
  __shared__ S left[kTile][kTile + 1];
  __shared__ S right[kTile][kTile + 1];
  const int x = static_cast<int>(threadIdx.x);
  const int y = static_cast<int>(threadIdx.y);
  const int64_t row = int64_t{blockIdx.y} * kTile + y;
  const int64_t col = int64_t{blockIdx.x} * kTile + x;
  for (int64_t batch = blockIdx.z; batch < view.batch; batch += gridDim.z) {
    int64_t at[3];
    view.index.offsets(batch, at);
    const T* a = view.a + at[1];
    const T* b = view.b + at[2];
    S sum = S(0);
    for (int64_t begin = 0; begin < view.k; begin += kTile) {
      const int64_t depth_a = begin + x;
      const int64_t depth_b = begin + y;
      left[y][x] = row < view.m && depth_a < view.k
                       ? static_cast<S>(widen(a[row * view.a_row + depth_a * view.a_col]))
                       : S(0);
      right[y][x] = col < view.n && depth_b < view.k
                        ? static_cast<S>(widen(b[depth_b * view.b_row + col * view.b_col]))
                        : S(0);
      __syncthreads();
      for (int i = 0; i < kTile; ++i) sum += left[y][i] * right[i][x];
      __syncthreads();
    }
    if (row < view.m && col < view.n) finish(view, sum, row, col, view.c + at[0]);
  }
}

template <class T>
__global__ void epilogue_kernel(const GemmView<T> view, int64_t n) {
  wait_for_stream();
  using S = typename SumType<T>::type;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  const int64_t matrix = view.m * view.n;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    int64_t at[3];
    view.index.offsets(i / matrix, at);
    const int64_t row = i % matrix / view.n;
    const int64_t col = i % view.n;
    T* c = view.c + at[0];
    finish(view, static_cast<S>(widen(c[row * view.c_row + col * view.c_col])), row, col, c);
  }
}

template <class T>
GemmView<T> view_of(const GemmArgs& args) {
  GemmView<T> view{};
  view.a = static_cast<const T*>(args.a.data);
  view.b = static_cast<const T*>(args.b.data);
  view.c = static_cast<T*>(args.c.data);
  view.bias = static_cast<const T*>(args.bias);
  view.m = args.m;
  view.n = args.n;
  view.k = args.k;
  view.a_row = args.a.row_stride;
  view.a_col = args.a.col_stride;
  view.b_row = args.b.row_stride;
  view.b_col = args.b.col_stride;
  view.c_row = args.c.row_stride;
  view.c_col = args.c.col_stride;
  view.bias_stride = args.bias_stride;
  view.batch = args.batch.numel();
  view.index.rank = args.batch.rank();
  for (int i = 0; i < args.batch.rank(); ++i) {
    view.index.shape[i] = args.batch[i];
    view.index.strides[0][i] = args.c.batch_strides[i];
    view.index.strides[1][i] = args.a.batch_strides[i];
    view.index.strides[2][i] = args.b.batch_strides[i];
  }
  view.alpha = args.alpha;
  view.beta = args.beta;
  view.activation = args.activation;
  return view;
}

// ---- dot
// -----------------------------------------------------------------------------------------

constexpr int kDotBlocks = 256;

template <class S>
__device__ S sum_of_block(S value) {
  __shared__ S shared[kThreads];
  const int i = static_cast<int>(threadIdx.x);
  shared[i] = value;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (i < half) shared[i] += shared[i + half];
    __syncthreads();
  }
  return shared[0];
}

template <class T, class S>
__global__ void dot_parts_kernel(const T* a, int64_t a_stride, const T* b, int64_t b_stride,
                                 int64_t n, S* parts) {
  wait_for_stream();
  S sum = S(0);
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    sum += static_cast<S>(widen(a[i * a_stride])) * static_cast<S>(widen(b[i * b_stride]));
  }
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

template <class T, class S>
__global__ void dot_total_kernel(const S* parts, int count, T* output) {
  wait_for_stream();
  S sum = S(0);
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) sum += parts[i];
  sum = sum_of_block(sum);
  if (threadIdx.x != 0) return;
  if constexpr (std::is_floating_point_v<S>) {
    *output = narrow<T>(sum);
  } else {
    *output = static_cast<T>(sum);
  }
}

}  // namespace

void run_plain_gemm(const GemmArgs& args) {
  const int64_t batch = args.batch.numel();
  if (args.m == 0 || args.n == 0 || batch == 0) return;
  visit_numeric("matmul", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const int64_t rows = (args.m + kTile - 1) / kTile;
    TAUT_CHECK(rows <= kMaxGridZ, NotImplementedError, "matmul: ", args.m, " rows of ", args.dtype,
               " are more than the CUDA kernel takes; it takes ", int64_t{kMaxGridZ} * kTile);
    const dim3 grid(static_cast<unsigned>((args.n + kTile - 1) / kTile),
                    static_cast<unsigned>(rows),
                    batch < kMaxGridZ ? static_cast<unsigned>(batch) : kMaxGridZ);
    launch_kernel(plain_gemm_kernel<T>, {grid, dim3(kTile, kTile)}, view_of<T>(args));
    check_launch("matmul");
  });
}

void run_gemm_epilogue(const GemmArgs& args) {
  const int64_t n = args.batch.numel() * args.m * args.n;
  if (n == 0) return;
  visit_numeric("matmul", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    GemmView<T> view = view_of<T>(args);
    view.alpha = 1;
    view.beta = 0;
    launch_kernel(epilogue_kernel<T>, {blocks_for(n), kThreads}, view, n);
    check_launch("matmul");
  });
}

void run_dot(const DotArgs& args) {
  visit_numeric("dot", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using S = typename SumType<T>::type;
    const int64_t wanted = (args.n + kThreads - 1) / kThreads;
    const int blocks = static_cast<int>(wanted < 1 ? 1 : wanted > kDotBlocks ? kDotBlocks : wanted);
    const taut::cuda::Scratch parts(sizeof(S) * kDotBlocks);
    launch_kernel(dot_parts_kernel<T, S>, {blocks, kThreads}, static_cast<const T*>(args.a),
                  args.a_stride, static_cast<const T*>(args.b), args.b_stride, args.n,
                  parts.as<S>());
    check_launch("dot");
    launch_kernel(dot_total_kernel<T, S>, {1, kThreads}, parts.as<S>(), blocks,
                  static_cast<T*>(args.output));
    check_launch("dot");
  });
}

}  // namespace taut::kernels::cuda
