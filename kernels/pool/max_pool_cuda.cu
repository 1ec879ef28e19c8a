// Max pooling: a thread for each output. Backward a thread for each input gathers the gradients of
// the windows that chose it, so that nothing is added by atomics.

#include "kernels/pool/pool_cuda.h"
#include "kernels/pool/windows.cuh"

namespace taut::kernels::cuda {
namespace {

template <class T, class Windows>
__global__ void __launch_bounds__(kThreads)
    max_pool_kernel(Windows w, const T* input, T* output, int64_t* indices, int64_t n) {
  wait_for_stream();
  using Int = typename Windows::Index;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const PlanePoint<Int> out = w.output_point(i);
    const T* plane = input + w.input_begin(out);
    Compute<T> largest = lowest_of<Compute<T>>();
    Int best = -1;
    visit_window(w, out, [&](Int position) {
      const Compute<T> value = widen(plane[position * w.inner]);
      if (value > largest || value != value || best < 0) {
        largest = value;
        best = position;
      }
    });
    output[i] = narrow<T>(largest);
    if (indices != nullptr) indices[i] = best;
  }
}

template <class T, class Windows>
__global__ void __launch_bounds__(kThreads)
    max_pool_backward_kernel(Windows w, const T* grad_output, const int64_t* indices, T* grad_input,
                             int64_t n) {
  wait_for_stream();
  using Int = typename Windows::Index;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const PlanePoint<Int> in = w.input_point(i);
    const int64_t plane = w.output_begin(in);
    Compute<T> sum = 0;
    visit_covering(w, in, [&](const PlanePoint<Int>& out) {
      const int64_t at = plane + out.position * w.inner;
      if (indices[at] == in.position) sum += widen(grad_output[at]);
    });
    grad_input[i] = narrow<T>(sum);
  }
}

template <class Windows>
void run_max_pool_backward(const MaxPoolBackwardArgs& args, const Windows& windows) {
  const int64_t n = args.planes * args.input_plane;
  visit_floating("max_pool_backward", args.dtype, [&]<class T>(TypeTag<T>) {
    launch_kernel(max_pool_backward_kernel<T, Windows>, {blocks_for(n), kThreads}, windows,
                  static_cast<const T*>(args.grad_output), args.indices,
                  static_cast<T*>(args.grad_input), n);
  });
  check_launch("max_pool_backward");
}

}  // namespace

void max_pool(const MaxPoolArgs& args) {
  const int64_t n = args.planes * args.shape.output_size.numel();
  if (n == 0) return;
  with_windows(args.shape, args.inner, [&]<class Windows>(const Windows& windows) {
    visit_numeric("max_pool", args.dtype, [&]<class T>(TypeTag<T>) {
      launch_kernel(max_pool_kernel<T, Windows>, {blocks_for(n), kThreads}, windows,
                    static_cast<const T*>(args.input), static_cast<T*>(args.output), args.indices,
                    n);
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
