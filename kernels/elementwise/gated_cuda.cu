// Gated activations on CUDA, of the functors of activation.inl.

#include "kernels/api/fast_index.cuh"
#include "kernels/api/gated.h"
#include "kernels/api/packs.cuh"
#include "kernels/elementwise/constant_cuda.cuh"
#include "kernels/elementwise/kernels_cuda.cuh"
#include "kernels/elementwise/quick_gelu.h"

namespace taut::kernels {
namespace {

#include "kernels/elementwise/activation.inl"

}  // namespace

namespace cuda {
namespace {

// A thread for each pack of a row.
struct RowPacks {
  int64_t count;
  int64_t in_row;
  int64_t cols;
  Divider by_row;

  RowPacks(int64_t rows, int64_t cols_in, int64_t pack)
      : count(rows * (cols_in / pack)),
        in_row(cols_in / pack),
        cols(cols_in),
        by_row(in_row, count) {}

  LaunchShape shape() const {
    return {static_cast<unsigned>((count + kThreads - 1) / kThreads), kThreads};
  }
};

struct PackPlace {
  int64_t row;
  int64_t column;
};

template <int kPack>
__device__ inline PackPlace place_of(const RowPacks& packs, int64_t i) {
  const int64_t row = packs.by_row.quotient(i);
  return {row, (i - row * packs.in_row) * kPack};
}

template <class T, class F, int kPack>
__global__ void __launch_bounds__(kThreads)
    gated_kernel(const __grid_constant__ RowPacks packs, const T* gate, int64_t gate_stride,
                 const T* up, int64_t up_stride, T* output) {
  wait_for_stream();
  using A = Compute<T>;
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= packs.count) return;
  const auto [row, column] = place_of<kPack>(packs, i);
  // Widened, and so waited for, when both are under way.
  const Pack<T, kPack> gate_words = load_pack<kPack>(gate + row * gate_stride + column);
  const Pack<T, kPack> up_words = load_pack<kPack>(up + row * up_stride + column);
  A x[kPack], y[kPack];
  widen_words<T>(gate_words, x);
  widen_words<T>(up_words, y);
#pragma unroll
  for (int e = 0; e < kPack; ++e) y[e] *= F()(x[e]);
  store_narrowed<kPack>(output + row * packs.cols + column, y);
}

template <class T, class F, int kPack>
__global__ void __launch_bounds__(kThreads)
    gated_backward_kernel(const __grid_constant__ RowPacks packs, const T* grad, const T* gate,
                          int64_t gate_stride, const T* up, int64_t up_stride, T* grad_gate,
                          int64_t grad_gate_stride, T* grad_up, int64_t grad_up_stride) {
  wait_for_stream();
  using A = Compute<T>;
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= packs.count) return;
  const auto [row, column] = place_of<kPack>(packs, i);
  const Pack<T, kPack> grad_words = load_pack<kPack>(grad + row * packs.cols + column);
  const Pack<T, kPack> gate_words = load_pack<kPack>(gate + row * gate_stride + column);
  const Pack<T, kPack> up_words = load_pack<kPack>(up + row * up_stride + column);
  A g[kPack], x[kPack], y[kPack];
  widen_words<T>(grad_words, g);
  widen_words<T>(gate_words, x);
  widen_words<T>(up_words, y);
#pragma unroll
  for (int e = 0; e < kPack; ++e) {
    y[e] = F().template vjp_a<A>(g[e] * y[e], x[e]);
    g[e] *= F()(x[e]);
  }
  store_narrowed<kPack>(grad_gate + row * grad_gate_stride + column, y);
  store_narrowed<kPack>(grad_up + row * grad_up_stride + column, g);
}

// Whether every row of an array begins at a whole pack.
bool has_packs(const void* data, int64_t stride, int64_t pack) {
  return is_aligned(data) && stride % pack == 0;
}

// Calls run(activation, tag of the dtype).
template <class Run>
void visit_gate(const char* op, Gate activation, DType dtype, const Run& run) {
  visit_floating(op, dtype, [&](auto tag) {
    switch (activation) {
      case Gate::silu: return run(Silu{}, tag);
      case Gate::gelu: return run(Gelu{}, tag);
      case Gate::gelu_tanh: return run(GeluTanh{}, tag);
    }
  });
}

void gated(const GatedArgs& args) {
  visit_gate("gated activation", args.activation, args.dtype, [&](auto activation, auto tag) {
    using F = decltype(activation);
    using T = typename decltype(tag)::type;
    constexpr int kPack = kPackCount<T>;
    const bool packs = args.cols % kPack == 0 && has_packs(args.gate, args.gate_stride, kPack) &&
                       has_packs(args.up, args.up_stride, kPack) && is_aligned(args.output);
    const RowPacks rows(args.rows, args.cols, packs ? kPack : 1);
    launch_kernel(packs ? &gated_kernel<T, F, kPack> : &gated_kernel<T, F, 1>, rows.shape(), rows,
                  static_cast<const T*>(args.gate), args.gate_stride,
                  static_cast<const T*>(args.up), args.up_stride, static_cast<T*>(args.output));
  });
  check_launch("gated activation");
}

void gated_backward(const GatedBackwardArgs& args) {
  const char* op = "gated activation backward";
  visit_gate(op, args.activation, args.dtype, [&](auto activation, auto tag) {
    using F = decltype(activation);
    using T = typename decltype(tag)::type;
    constexpr int kPack = kPackCount<T>;
    const bool packs = args.cols % kPack == 0 && is_aligned(args.grad_output) &&
                       has_packs(args.gate, args.gate_stride, kPack) &&
                       has_packs(args.up, args.up_stride, kPack) &&
                       has_packs(args.grad_gate, args.grad_gate_stride, kPack) &&
                       has_packs(args.grad_up, args.grad_up_stride, kPack);
    const RowPacks rows(args.rows, args.cols, packs ? kPack : 1);
    launch_kernel(packs ? &gated_backward_kernel<T, F, kPack> : &gated_backward_kernel<T, F, 1>,
                  rows.shape(), rows, static_cast<const T*>(args.grad_output),
                  static_cast<const T*>(args.gate), args.gate_stride,
                  static_cast<const T*>(args.up), args.up_stride, static_cast<T*>(args.grad_gate),
                  args.grad_gate_stride, static_cast<T*>(args.grad_up), args.grad_up_stride);
  });
  check_launch(op);
}

}  // namespace
}  // namespace cuda

GatedKernels gated_kernels_cuda() {
  return {.forward = cuda::gated, .backward = cuda::gated_backward};
}

}  // namespace taut::kernels
