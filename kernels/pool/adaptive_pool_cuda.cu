// Adaptive pooling. Windows can be as large as a plane (global pooling), so that a warp shares one
// when it is worth it.

#include "kernels/api/group_reduce.cuh"
#include "kernels/pool/pool_cuda.h"
#include "kernels/pool/windows.cuh"

namespace taut::kernels::cuda {
namespace {

template <class T>
struct AverageOfWindow {
  using State = Compute<T>;

  T* output;

  __device__ State identity() const { return State(0); }
  __device__ void add(State& sum, Compute<T> x, int64_t) const { sum += x; }
  __device__ State merge(State a, State b) const { return a + b; }
  __device__ void finish(State sum, int64_t size, int64_t at) const {
    output[at] = narrow<T>(sum / static_cast<Compute<T>>(size));
  }
};

// The first of equals, but the last NaN.
template <class T>
struct LargestOfWindow {
  using C = std::conditional_t<sizeof(Compute<T>) < 4, int32_t, Compute<T>>;
  // Packed, so that there is no padding to copy.
  struct __attribute__((packed, aligned(4))) State {
    C value;
    int64_t position;  // -1: nothing yet
  };

  T* output;
  int64_t* indices;

  __device__ State identity() const { return {lowest_of<C>(), -1}; }
  __device__ void add(State& best, Compute<T> x, int64_t position) const {
    best = merge(best, State{static_cast<C>(x), position});
  }
  __device__ State merge(const State& a, const State& b) const {
    if (a.position < 0) return b;
    if (b.position < 0) return a;
    const bool a_is_nan = a.value != a.value, b_is_nan = b.value != b.value;
    if (a_is_nan || b_is_nan) {
      if (a_is_nan && b_is_nan) return a.position > b.position ? a : b;
      return a_is_nan ? a : b;
    }
    if (a.value == b.value) return a.position < b.position ? a : b;
    return a.value > b.value ? a : b;
  }
  __device__ void finish(const State& best, int64_t, int64_t at) const {
    output[at] = narrow<T>(static_cast<Compute<T>>(best.value));
    if (indices != nullptr) indices[at] = best.position;
  }
};

template <class T, class R>
__global__ void __launch_bounds__(kThreads)
    adaptive_pool_kernel(AdaptiveWindows w, R reducer, const T* input, int group, int64_t n) {
  wait_for_stream();
  const int lane = static_cast<int>(threadIdx.x) % group;
  const int rows = static_cast<int>(blockDim.x) / group;
  const int64_t step = int64_t{gridDim.x} * rows;
  for (int64_t first = int64_t{blockIdx.x} * rows; first < n; first += step) {
    const int64_t i = first + static_cast<int>(threadIdx.x) / group;
    typename R::State state = reducer.identity();
    int64_t size = 0;
    if (i < n) {
      const PlanePoint<int64_t> out = w.output_point(i);
      const T* plane = input + w.input_begin(out);
      const Range<int64_t> depth = w.depth.window(out.z);
      const Range<int64_t> height = w.height.window(out.y);
      const Range<int64_t> width = w.width.window(out.x);
      const int64_t across = width.end - width.begin;
      const int64_t down = height.end - height.begin;
      size = (depth.end - depth.begin) * down * across;
      for (int64_t e = lane; e < size; e += group) {
        int64_t x, y;
        const int64_t row = divide(e, across, x);
        const int64_t z = divide(row, down, y);
        const int64_t position =
            ((depth.begin + z) * w.height.input + height.begin + y) * w.width.input + width.begin +
            x;
        reducer.add(state, widen(plane[position * w.inner]), position);
      }
    }
    for (int offset = group / 2; offset > 0; offset /= 2) {
      state = reducer.merge(state, shuffle_down(state, offset, group));
    }
    if (i < n && lane == 0) reducer.finish(state, size, i);
  }
}

template <class T, class Args, class R>
void launch(const Args& args, const R& reducer) {
  const AdaptiveWindows windows = adaptive_windows(args.input_size, args.output_size, args.inner);
  const int64_t n = args.planes * windows.output_plane();
  // Planes side by side are read side by side by neighbouring threads already.
  const bool is_shared = args.inner == 1 && windows.input_plane() / windows.output_plane() >= kWarp;
  const int group = is_shared ? kWarp : 1;
  launch_kernel(adaptive_pool_kernel<T, R>, {blocks_for(n * group), kThreads}, windows, reducer,
                static_cast<const T*>(args.input), group, n);
}

}  // namespace

void adaptive_avg_pool(const AdaptiveAvgPoolArgs& args) {
  if (args.planes * args.output_size.numel() == 0) return;
  visit_floating("adaptive_avg_pool", args.dtype, [&]<class T>(TypeTag<T>) {
    launch<T>(args, AverageOfWindow<T>{static_cast<T*>(args.output)});
  });
  check_launch("adaptive_avg_pool");
}

void adaptive_max_pool(const AdaptiveMaxPoolArgs& args) {
  if (args.planes * args.output_size.numel() == 0) return;
  visit_numeric("adaptive_max_pool", args.dtype, [&]<class T>(TypeTag<T>) {
    launch<T>(args, LargestOfWindow<T>{static_cast<T*>(args.output), args.indices});
  });
  check_launch("adaptive_max_pool");
}

}  // namespace taut::kernels::cuda
