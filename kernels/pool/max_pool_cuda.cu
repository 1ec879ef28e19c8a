// Max pooling: a thread for each output, or for some that lie side by side. Backward a thread for
// each input gathers the gradients of the windows that chose it, so that nothing is added by
// atomics.

#include "kernels/pool/pool_cuda.h"
#include "kernels/pool/windows.cuh"

namespace taut::kernels::cuda {
namespace {

// A thread takes kPack planes that lie side by side.
template <class T, class Windows, int kPack>
__global__ void __launch_bounds__(kThreads)
    max_pool_kernel(Windows w, const T* input, T* output, int64_t* indices, int64_t n) {
  wait_for_stream();
  using Int = typename Windows::Index;
  const int64_t step = int64_t{gridDim.x} * blockDim.x * kPack;
  const int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kPack;
  for (int64_t i = first; i < n; i += step) {
    const PlanePoint<Int> out = w.output_point(i);
    const T* plane = input + w.input_begin(out);
    Compute<T> largest[kPack];
    Int best[kPack];
#pragma unroll
    for (int e = 0; e < kPack; ++e) {
      largest[e] = lowest_of<Compute<T>>();
      best[e] = -1;
    }
    visit_window(w, out, [&](Int position) {
      Compute<T> values[kPack];
      load_widened<kPack>(plane + position * w.inner, values);
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        if (!(values[e] > largest[e] || values[e] != values[e] || best[e] < 0)) continue;
        largest[e] = values[e];
        best[e] = position;
      }
    });
    store_narrowed<kPack>(output + i, largest);
    if (indices == nullptr) continue;
    Pack<int64_t, kPack> places;
#pragma unroll
    for (int e = 0; e < kPack; ++e) places.values[e] = best[e];
    store_pack<kPack>(indices + i, places);
  }
}

template <class T, class Windows, int kPack>
__global__ void __launch_bounds__(kThreads)
    max_pool_backward_kernel(Windows w, const T* grad_output, const int64_t* indices, T* grad_input,
                             int64_t n) {
  wait_for_stream();
  using Int = typename Windows::Index;
  const int64_t step = int64_t{gridDim.x} * blockDim.x * kPack;
  const int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kPack;
  for (int64_t i = first; i < n; i += step) {
    const PlanePoint<Int> in = w.input_point(i);
    const int64_t plane = w.output_begin(in);
    Compute<T> sums[kPack] = {};
    visit_covering(w, in, [&](const PlanePoint<Int>& out) {
      const int64_t at = plane + out.position * w.inner;
      const Pack<int64_t, kPack> places = load_pack<kPack>(indices + at);
      Compute<T> grads[kPack];
      load_widened<kPack>(grad_output + at, grads);
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        if (places.values[e] == in.position) sums[e] += grads[e];
      }
    });
    store_narrowed<kPack>(grad_input + i, sums);
  }
}

template <class Windows>
void run_max_pool_backward(const MaxPoolBackwardArgs& args, const Windows& windows) {
  const int64_t n = args.planes * args.input_plane;
  visit_floating("max_pool_backward", args.dtype, [&]<class T>(TypeTag<T>) {
    with_pack<T>(args.inner, {args.grad_output, args.indices, args.grad_input}, [&]<int kPack>() {
      launch_kernel(max_pool_backward_kernel<T, Windows, kPack>, {blocks_for(n / kPack), kThreads},
                    windows, static_cast<const T*>(args.grad_output), args.indices,
                    static_cast<T*>(args.grad_input), n);
    });
  });
  check_launch("max_pool_backward");
}

}  // namespace

void max_pool(const MaxPoolArgs& args) {
  const int64_t n = args.planes * args.shape.output_size.numel();
  if (n == 0) return;
  with_windows(args.shape, args.inner, [&]<class Windows>(const Windows& windows) {
    visit_numeric("max_pool", args.dtype, [&]<class T>(TypeTag<T>) {
      with_pack<T>(args.inner, {args.input, args.output, args.indices}, [&]<int kPack>() {
        launch_kernel(max_pool_kernel<T, Windows, kPack>, {blocks_for(n / kPack), kThreads},
                      windows, static_cast<const T*>(args.input), static_cast<T*>(args.output),
                      args.indices, n);
      });
    });
  });
  check_launch("max_pool");
}

IndexResult max_pool_backward(const MaxPoolBackwardArgs& args) {
  if (args.planes * args.input_plane == 0) return {};
  if (args.shape.kernel_size.empty()) {
    run_max_pool_backward(
        args, adaptive_windows(args.shape.input_size, args.shape.output_size, args.inner));
  } else {
    with_windows(args.shape, args.inner,
                 [&](const auto& windows) { run_max_pool_backward(args, windows); });
  }
  return {};
}

}  // namespace taut::kernels::cuda
