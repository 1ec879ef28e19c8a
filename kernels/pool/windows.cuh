#pragma once
// Pooling windows for kernels: three spatial dims, fewer are padded with dims of size 1 in front.

#include <cuda/std/limits>
#include <initializer_list>

#include "kernels/api/packs.cuh"
#include "kernels/api/pool.h"
#include "kernels/api/strided_offset.cuh"

namespace taut::kernels::cuda {

/// Numbers from `begin` to before `end`.
template <class Int>
struct Range {
  Int begin;
  Int end;
};

/// One spatial dim of a pooling.
template <class Int>
struct PoolAxis {
  Int input = 1;
  Int output = 1;
  Int kernel = 1;
  Int stride = 1;
  Int padding = 0;
  Int dilation = 1;

  /// The inputs of a window, `dilation` apart.
  __device__ Range<Int> window(Int out) const {
    const Int start = out * stride - padding;
    const Int reach = start + (kernel - 1) * dilation + 1;
    const Int begin = start >= 0 ? start : start + (dilation - 1 - start) / dilation * dilation;
    return {begin, reach < input ? reach : input};
  }
  /// The windows that may cover an input; with dilation 1, those that do.
  __device__ Range<Int> covering(Int in) const {
    const Int reached = in + padding;
    const Int before = reached - (kernel - 1) * dilation;
    const Int end = reached / stride + 1;
    return {before <= 0 ? 0 : (before + stride - 1) / stride, end < output ? end : output};
  }
  /// The elements of a window, those in the padding included on demand; dilation 1.
  __device__ Int window_size(Int out, bool include_padding) const {
    const Int begin = out * stride - padding;
    const Int reach = begin + kernel;
    const Int end = reach < input + padding ? reach : input + padding;
    if (include_padding) return end - begin;
    const Int size = (end < input ? end : input) - (begin > 0 ? begin : 0);
    return size > 0 ? size : 0;
  }
};

/// An adaptive spatial dim: output o covers the inputs from floor(o*in/out) to ceil((o+1)*in/out).
struct AdaptiveAxis {
  int64_t input = 1;
  int64_t output = 1;

  __device__ Range<int64_t> window(int64_t out) const {
    int64_t rest;
    const int64_t begin = divide(out * input, output, rest);
    const int64_t end = divide((out + 1) * input + output - 1, output, rest);
    return {begin, end};
  }
  __device__ Range<int64_t> covering(int64_t in) const {
    int64_t rest;
    const int64_t begin = divide(in * output, input, rest);
    const int64_t end = divide((in + 1) * output + input - 1, input, rest);
    return {begin, end};
  }
  __device__ int64_t window_size(int64_t out, bool) const {
    const Range<int64_t> covered = window(out);
    return covered.end - covered.begin;
  }
  static constexpr int64_t dilation = 1;
};

/// Where an element stands in a tensor of planes.
template <class Int>
struct PlanePoint {
  int64_t plane;  // or what number of `inner` planes side by side
  int64_t side;   // which of those
  Int position;   // in the plane
  Int z;
  Int y;
  Int x;
};

template <class Axis, class Int>
struct PoolWindows {
  using Index = Int;
  Axis depth;
  Axis height;
  Axis width;
  int64_t inner = 1;  // planes side by side

  __host__ __device__ Int input_plane() const { return depth.input * height.input * width.input; }
  __host__ __device__ Int output_plane() const {
    return depth.output * height.output * width.output;
  }
  /// Where the plane of a point begins in the input, whose places are `inner` elements apart.
  __device__ int64_t input_begin(const PlanePoint<Int>& at) const {
    return at.plane * input_plane() * inner + at.side;
  }
  __device__ int64_t output_begin(const PlanePoint<Int>& at) const {
    return at.plane * output_plane() * inner + at.side;
  }
  __device__ PlanePoint<Int> output_point(int64_t i) const {
    return point(i, output_plane(), height.output, width.output);
  }
  __device__ PlanePoint<Int> input_point(int64_t i) const {
    return point(i, input_plane(), height.input, width.input);
  }

 private:
  __device__ PlanePoint<Int> point(int64_t i, Int plane_size, Int height, Int width) const {
    int64_t position;
    PlanePoint<Int> result;
    result.side = 0;
    if (inner != 1) i = divide(i, inner, result.side);
    result.plane = divide(i, plane_size, position);
    result.position = static_cast<Int>(position);
    const Int row = result.position / width;
    result.x = result.position - row * width;
    result.z = row / height;
    result.y = row - result.z * height;
    return result;
  }
};

/// Calls visit(position in the input plane) for each input of the window at `out`, in order.
template <class Windows, class Point, class Visit>
__device__ inline void visit_window(const Windows& w, const Point& out, const Visit& visit) {
  using Int = typename Windows::Index;
  const Range<Int> depth = w.depth.window(out.z);
  const Range<Int> height = w.height.window(out.y);
  const Range<Int> width = w.width.window(out.x);
  for (Int z = depth.begin; z < depth.end; z += w.depth.dilation) {
    for (Int y = height.begin; y < height.end; y += w.height.dilation) {
      const Int row = (z * w.height.input + y) * w.width.input;
      for (Int x = width.begin; x < width.end; x += w.width.dilation) visit(row + x);
    }
  }
}

/// Calls visit(window, position in the output plane) for each window that may cover `in`, in order.
template <class Windows, class Point, class Visit>
__device__ inline void visit_covering(const Windows& w, const Point& in, const Visit& visit) {
  using Int = typename Windows::Index;
  const Range<Int> depth = w.depth.covering(in.z);
  const Range<Int> height = w.height.covering(in.y);
  const Range<Int> width = w.width.covering(in.x);
  for (Int z = depth.begin; z < depth.end; ++z) {
    for (Int y = height.begin; y < height.end; ++y) {
      const Int row = (z * w.height.output + y) * w.width.output;
      for (Int x = width.begin; x < width.end; ++x) {
        visit(PlanePoint<Int>{in.plane, in.side, row + x, z, y, x});
      }
    }
  }
}

template <class Int>
using FixedWindows = PoolWindows<PoolAxis<Int>, Int>;
using AdaptiveWindows = PoolWindows<AdaptiveAxis, int64_t>;

template <class Int>
FixedWindows<Int> fixed_windows(const PoolShape& shape, int64_t inner) {
  FixedWindows<Int> windows;
  windows.inner = inner;
  PoolAxis<Int>* const axes[] = {&windows.depth, &windows.height, &windows.width};
  const int rank = shape.input_size.rank();
  for (int d = 0; d < rank; ++d) {
    *axes[3 - rank + d] = {
        static_cast<Int>(shape.input_size[d]),  static_cast<Int>(shape.output_size[d]),
        static_cast<Int>(shape.kernel_size[d]), static_cast<Int>(shape.stride[d]),
        static_cast<Int>(shape.padding[d]),     static_cast<Int>(shape.dilation[d])};
  }
  return windows;
}

inline AdaptiveWindows adaptive_windows(const Dims& input_size, const Dims& output_size,
                                        int64_t inner) {
  AdaptiveWindows windows;
  windows.inner = inner;
  AdaptiveAxis* const axes[] = {&windows.depth, &windows.height, &windows.width};
  const int rank = input_size.rank();
  for (int d = 0; d < rank; ++d) *axes[3 - rank + d] = {input_size[d], output_size[d]};
  return windows;
}

/// Whether everything about a plane can be computed in 32 bits.
inline bool fits_int32(const PoolShape& shape) {
  constexpr int64_t kMost = int64_t{1} << 29;
  bool fits = shape.input_size.numel() < kMost && shape.output_size.numel() < kMost;
  for (int d = 0; d < shape.input_size.rank(); ++d) {
    fits = fits && shape.kernel_size[d] < kMost && shape.stride[d] < kMost &&
           shape.dilation[d] < kMost && shape.kernel_size[d] * shape.dilation[d] < kMost &&
           shape.output_size[d] * shape.stride[d] < kMost &&
           shape.input_size[d] + 2 * shape.padding[d] < kMost;
  }
  return fits;
}

/// Calls body with the windows of a shape, in integers that hold what they compute.
template <class Body>
void with_windows(const PoolShape& shape, int64_t inner, const Body& body) {
  if (fits_int32(shape)) {
    body(fixed_windows<int32_t>(shape, inner));
  } else {
    body(fixed_windows<int64_t>(shape, inner));
  }
}

/// Calls body.operator()<kPack>() with how many of `inner` planes side by side a thread takes:
/// whole packs where all of them and the addresses allow it.
template <class T, class Body>
void with_pack(int64_t inner, std::initializer_list<const void*> addresses, const Body& body) {
  bool packs = inner % kPackCount<T> == 0;
  for (const void* address : addresses) packs = packs && is_aligned(address);
  if (packs) {
    body.template operator()<kPackCount<T>>();
  } else {
    body.template operator()<1>();
  }
}

template <class A>
__device__ constexpr A lowest_of() {
  using Limits = ::cuda::std::numeric_limits<A>;
  if constexpr (std::is_floating_point_v<A>) {
    return -Limits::infinity();
  } else {
    return Limits::lowest();
  }
}

}  // namespace taut::kernels::cuda
