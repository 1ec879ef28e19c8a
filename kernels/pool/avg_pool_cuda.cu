// Average pooling: a thread for each output. Backward, of adaptive windows too, a thread for each
// input adds up what the windows that cover it pass on.

#include "kernels/pool/pool_cuda.h"
#include "kernels/pool/windows.cuh"

namespace taut::kernels::cuda {
namespace {

struct Divisor {
  bool include_padding;
  int64_t override;  // unless 0

  template <class C, class Windows, class Point>
  __device__ C of(const Windows& w, const Point& out) const {
    if (override != 0) return static_cast<C>(override);
    return static_cast<C>(w.depth.window_size(out.z, include_padding) *
                          w.height.window_size(out.y, include_padding) *
                          w.width.window_size(out.x, include_padding));
  }
};

// A thread takes kPack planes that lie side by side.
template <class T, class Windows, int kPack>
__global__ void __launch_bounds__(kThreads)
    avg_pool_kernel(Windows w, Divisor divisor, const T* input, T* output, int64_t n) {
  wait_for_stream();
  using Int = typename Windows::Index;
  const int64_t step = int64_t{gridDim.x} * blockDim.x * kPack;
  const int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kPack;
  for (int64_t i = first; i < n; i += step) {
    const PlanePoint<Int> out = w.output_point(i);
    const T* plane = input + w.input_begin(out);
    Compute<T> sums[kPack] = {};
    visit_window(w, out, [&](Int position) {
      Compute<T> values[kPack];
      load_widened<kPack>(plane + position * w.inner, values);
#pragma unroll
      for (int e = 0; e < kPack; ++e) sums[e] += values[e];
    });
    const auto size = divisor.of<Compute<T>>(w, out);
#pragma unroll
    for (int e = 0; e < kPack; ++e) sums[e] /= size;
    store_narrowed<kPack>(output + i, sums);
  }
}

template <class T, class Windows, int kPack>
__global__ void __launch_bounds__(kThreads)
    avg_pool_backward_kernel(Windows w, Divisor divisor, const T* grad_output, T* grad_input,
                             int64_t n) {
  wait_for_stream();
  using Int = typename Windows::Index;
  const int64_t step = int64_t{gridDim.x} * blockDim.x * kPack;
  const int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kPack;
  for (int64_t i = first; i < n; i += step) {
    const PlanePoint<Int> in = w.input_point(i);
    const T* plane = grad_output + w.output_begin(in);
    Compute<T> sums[kPack] = {};
    visit_covering(w, in, [&](const PlanePoint<Int>& out) {
      Compute<T> grads[kPack];
      load_widened<kPack>(plane + out.position * w.inner, grads);
      const auto size = divisor.of<Compute<T>>(w, out);
#pragma unroll
      for (int e = 0; e < kPack; ++e) sums[e] += grads[e] / size;
    });
    store_narrowed<kPack>(grad_input + i, sums);
  }
}

template <class Args, class Windows>
void run_avg_pool_backward(const char* op, const Args& args, const Windows& windows,
                           Divisor divisor) {
  const int64_t n = args.planes * int64_t{windows.input_plane()};
  if (n == 0) return;
  visit_floating(op, args.dtype, [&]<class T>(TypeTag<T>) {
    with_pack<T>(args.inner, {args.grad_output, args.grad_input}, [&]<int kPack>() {
      launch_kernel(avg_pool_backward_kernel<T, Windows, kPack>, {blocks_for(n / kPack), kThreads},
                    windows, divisor, static_cast<const T*>(args.grad_output),
                    static_cast<T*>(args.grad_input), n);
    });
  });
  check_launch(op);
}

}  // namespace

void avg_pool(const AvgPoolArgs& args) {
  const int64_t n = args.planes * args.shape.output_size.numel();
  if (n == 0) return;
  const Divisor divisor{args.count_include_pad, args.divisor_override};
  with_windows(args.shape, args.inner, [&]<class Windows>(const Windows& windows) {
    visit_floating("avg_pool", args.dtype, [&]<class T>(TypeTag<T>) {
      with_pack<T>(args.inner, {args.input, args.output}, [&]<int kPack>() {
        launch_kernel(avg_pool_kernel<T, Windows, kPack>, {blocks_for(n / kPack), kThreads},
                      windows, divisor, static_cast<const T*>(args.input),
                      static_cast<T*>(args.output), n);
      });
    });
  });
  check_launch("avg_pool");
}

void avg_pool_backward(const AvgPoolBackwardArgs& args) {
  const Divisor divisor{args.count_include_pad, args.divisor_override};
  with_windows(args.shape, args.inner, [&]<class Windows>(const Windows& windows) {
    run_avg_pool_backward("avg_pool_backward", args, windows, divisor);
  });
}

void adaptive_avg_pool_backward(const AdaptiveAvgPoolBackwardArgs& args) {
  run_avg_pool_backward("adaptive_avg_pool_backward", args,
                        adaptive_windows(args.input_size, args.output_size, args.inner),
                        Divisor{true, 0});
}

}  // namespace taut::kernels::cuda
