// Pooling, plane by plane. The windows of a row of outputs are walked tap by tap: the inner loop
// runs over the outputs of the row for which the tap lies inside of the input, so that it has no
// branches and the compiler vectorises it for each instruction set.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>

#include "kernels/api/half_rows.h"
#include "kernels/api/pool.h"
#include "kernels/api/simd_targets.h"
#include "kernels/api/visit_dtype.h"
#include "kernels/pool/side_by_side.h"
#include "kernels/pool/windows.h"
#include "taut/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool/pool_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using pool_cpu::Axis;
using pool_cpu::TappedWindows;
using pool_cpu::Windows;

// A plane in the type that it is computed in: where it lies, or a widened copy.
template <class T>
class InputPlane {
 public:
  using C = compute_t<T>;
  explicit InputPlane(int64_t size) : size_(size) {
    if constexpr (!std::is_same_v<C, T>) copy_.reset(new C[static_cast<size_t>(size)]);
  }
  const C* load(const T* from) {
    if constexpr (std::is_same_v<C, T>) {
      return from;
    } else {
      widen_row(from, copy_.get(), size_);
      return copy_.get();
    }
  }

 private:
  int64_t size_;
  std::unique_ptr<C[]> copy_;
};

template <class T>
class OutputPlane {
 public:
  using C = compute_t<T>;
  explicit OutputPlane(int64_t size) : size_(size) {
    if constexpr (!std::is_same_v<C, T>) copy_.reset(new C[static_cast<size_t>(size)]);
  }
  C* begin(T* to) {
    if constexpr (std::is_same_v<C, T>) {
      return to;
    } else {
      return copy_.get();
    }
  }
  void finish(T* to) {
    if constexpr (!std::is_same_v<C, T>) narrow_row(copy_.get(), to, size_);
  }

 private:
  int64_t size_;
  std::unique_ptr<C[]> copy_;
};

int64_t plane_grain(int64_t work) {
  return std::max<int64_t>(1, 32 * 1024 / std::max<int64_t>(1, work));
}

template <class C>
constexpr C lowest() {
  if constexpr (std::is_integral_v<C>) {
    return std::numeric_limits<C>::lowest();
  } else {
    return -std::numeric_limits<C>::infinity();
  }
}

// The largest so far of each output of a row; index -1 means none.
template <class C>
struct BestRow {
  C* values;
  int64_t* indices;
};

template <class C>
void take_larger(const C* input, int64_t stride, int64_t index, int64_t n, BestRow<C> best) {
  for (int64_t i = 0; i < n; ++i) {
    const C value = input[i * stride];
    const bool larger = (value > best.values[i]) | (value != value) | (best.indices[i] < 0);
    best.values[i] = larger ? value : best.values[i];
    best.indices[i] = larger ? index + i * stride : best.indices[i];
  }
}

template <class C>
void max_pool_row(const TappedWindows& w, const C* input, int64_t z, int64_t y, BestRow<C> best) {
  std::fill(best.values, best.values + w.width.output, lowest<C>());
  std::fill(best.indices, best.indices + w.width.output, int64_t{-1});
  w.visit_taps(z, y, [&](int64_t first, int64_t n, int64_t position) {
    take_larger(input + position, w.width.stride, position, n,
                BestRow<C>{best.values + first, best.indices + first});
  });
}

template <class C>
void max_pool_plane(const TappedWindows& w, const C* input, C* output, int64_t* indices) {
  const std::unique_ptr<int64_t[]> unasked(
      indices == nullptr ? new int64_t[static_cast<size_t>(w.width.output)] : nullptr);
  for (int64_t z = 0; z < w.depth.output; ++z) {
    for (int64_t y = 0; y < w.height.output; ++y) {
      int64_t* row_indices = indices == nullptr ? unasked.get() : indices;
      max_pool_row(w, input, z, y, BestRow<C>{output, row_indices});
      output += w.width.output;
      if (indices != nullptr) indices += w.width.output;
    }
  }
}

// Windows of 2 x 2 side by side, the usual case: two rows in, one out.
bool is_two_by_two(const Windows& w) {
  const auto halves = [](const Axis& axis) {
    return axis.kernel == 2 && axis.stride == 2 && axis.padding == 0 && axis.dilation == 1 &&
           2 * axis.output <= axis.input;
  };
  return w.depth.input == 1 && w.depth.output == 1 && w.depth.kernel == 1 && w.depth.padding == 0 &&
         halves(w.height) && halves(w.width) && w.width.output >= 4 &&
         w.input_plane() < std::numeric_limits<int32_t>::max();
}

template <class D, class V = hn::Vec<D>>
hn::Mask<D> is_larger(D, V value, V best) {
  return hn::Or(hn::Gt(value, best), hn::IsNaN(value));
}

// The corners of `Lanes` windows side by side, the first at `input`.
template <class D>
struct Corners {
  hn::Vec<D> top_left, top_right, bottom_left, bottom_right;

  Corners(D d, const float* input, int64_t width) {
    hn::LoadInterleaved2(d, input, top_left, top_right);
    hn::LoadInterleaved2(d, input + width, bottom_left, bottom_right);
  }
};

// `corner` is the position of the first window's top left element.
template <class D>
void max_of_corners(D d, const float* input, int64_t width, int64_t corner, float* output,
                    int64_t* indices) {
  const hn::RebindToSigned<D> di;
  const hn::Half<decltype(di)> half;
  const hn::Rebind<int64_t, decltype(half)> dl;
  const Corners<D> corners(d, input + corner, width);
  auto best = corners.top_left;
  auto index = hn::Zero(di);
  const auto take = [&](hn::Vec<D> value, int64_t offset) HWY_ATTR {
    const auto larger = is_larger(d, value, best);
    best = hn::IfThenElse(larger, value, best);
    index = hn::IfThenElse(hn::RebindMask(di, larger), hn::Set(di, static_cast<int32_t>(offset)),
                           index);
  };
  take(corners.top_right, 1);
  take(corners.bottom_left, width);
  take(corners.bottom_right, width + 1);
  hn::StoreU(best, d, output);
  if (indices == nullptr) return;
  const auto even = hn::Add(hn::Iota(di, 0), hn::Iota(di, 0));
  index = hn::Add(index, hn::Add(even, hn::Set(di, static_cast<int32_t>(corner))));
  hn::StoreU(hn::PromoteTo(dl, hn::LowerHalf(half, index)), dl, indices);
  hn::StoreU(hn::PromoteTo(dl, hn::UpperHalf(half, index)), dl,
             indices + static_cast<int64_t>(hn::Lanes(half)));
}

// Calls run(x) for steps of `lanes` that cover a row of `width` >= lanes outputs; the last step
// overlaps the one before.
template <class Run>
void cover_row(int64_t width, int64_t lanes, const Run& run) {
  int64_t x = 0;
  for (; x + lanes <= width; x += lanes) run(x);
  if (x < width) run(width - lanes);
}

template <class D>
void max_pool_plane_two_by_two(D d, const Windows& w, const float* input, float* output,
                               int64_t* indices) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t y = 0; y < w.height.output; ++y) {
    const int64_t row = y * w.width.output;
    cover_row(w.width.output, lanes, [&](int64_t x) HWY_ATTR {
      max_of_corners(d, input, w.width.input, 2 * (y * w.width.input + x), output + row + x,
                     indices == nullptr ? nullptr : indices + row + x);
    });
  }
}

// Runs body with the longest vectors that fit into a row of outputs.
template <class Body>
void with_row_vectors(int64_t width, const Body& body) {
  if (width >= static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()))) {
    body(hn::ScalableTag<float>());
  } else if (width >= 8 && HWY_TARGET <= HWY_AVX2) {
    body(hn::CappedTag<float, 8>());
  } else {
    body(hn::CappedTag<float, 4>());
  }
}

template <class T>
void run_max_pool(const MaxPoolArgs& args, const TappedWindows& w) {
  const int64_t in = w.input_plane();
  const int64_t out = w.output_plane();
  parallel_for(args.planes, plane_grain(out * w.taps()), [&](int64_t begin, int64_t end) {
    InputPlane<T> input(in);
    OutputPlane<T> output(out);
    for (int64_t p = begin; p < end; ++p) {
      const auto* from = input.load(static_cast<const T*>(args.input) + p * in);
      T* to = static_cast<T*>(args.output) + p * out;
      int64_t* indices = args.indices == nullptr ? nullptr : args.indices + p * out;
      if constexpr (std::is_same_v<compute_t<T>, float>) {
        if (is_two_by_two(w)) {
          with_row_vectors(w.width.output, [&](auto d) HWY_ATTR {
            max_pool_plane_two_by_two(d, w, from, output.begin(to), indices);
          });
          output.finish(to);
          continue;
        }
      }
      max_pool_plane(w, from, output.begin(to), indices);
      output.finish(to);
    }
  });
}

void max_pool(const MaxPoolArgs& args) {
  if (args.inner > 1) return pool_cpu::side_by_side_pools().max_pool(args);
  const TappedWindows w(args.shape);
  visit_dtype(Arithmetic{}, args.dtype, "max_pool",
              [&]<class T>(Tag<T>) { run_max_pool<T>(args, w); });
}

// The divisors of the outputs of one row, the depth and height parts multiplied in.
template <class C>
void divisor_row(const Windows& w, bool include_padding, int64_t override, int64_t z, int64_t y,
                 C* divisors) {
  const int64_t rest =
      w.depth.window_size(z, include_padding) * w.height.window_size(y, include_padding);
  for (int64_t x = 0; x < w.width.output; ++x) {
    divisors[x] =
        static_cast<C>(override != 0 ? override : rest * w.width.window_size(x, include_padding));
  }
}

template <class C>
void avg_pool_plane(const TappedWindows& w, const AvgPoolArgs& args, const C* input, C* output,
                    C* divisors) {
  const int64_t stride = w.width.stride;
  for (int64_t z = 0; z < w.depth.output; ++z) {
    for (int64_t y = 0; y < w.height.output; ++y) {
      std::fill(output, output + w.width.output, C(0));
      w.visit_taps(z, y, [&](int64_t first, int64_t n, int64_t position) {
        C* sum = output + first;
        const C* from = input + position;
        for (int64_t i = 0; i < n; ++i) sum[i] += from[i * stride];
      });
      divisor_row(w, args.count_include_pad, args.divisor_override, z, y, divisors);
      for (int64_t x = 0; x < w.width.output; ++x) output[x] /= divisors[x];
      output += w.width.output;
    }
  }
}

// The windows of 2 x 2: sums in the order of the taps, as above.
template <class D>
void avg_pool_plane_two_by_two(D d, const Windows& w, float divisor, const float* input,
                               float* output) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto by = hn::Set(d, divisor);
  for (int64_t y = 0; y < w.height.output; ++y) {
    const float* rows = input + 2 * y * w.width.input;
    cover_row(w.width.output, lanes, [&](int64_t x) HWY_ATTR {
      const Corners<D> c(d, rows + 2 * x, w.width.input);
      const auto sum =
          hn::Add(hn::Add(hn::Add(c.top_left, c.top_right), c.bottom_left), c.bottom_right);
      hn::StoreU(hn::Div(sum, by), d, output + x);
    });
    output += w.width.output;
  }
}

template <class D>
void avg_pool_backward_plane_two_by_two(D d, const Windows& w, float divisor,
                                        const float* grad_output, float* grad_input) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto by = hn::Set(d, divisor);
  std::fill(grad_input, grad_input + w.input_plane(), 0.0f);
  for (int64_t y = 0; y < w.height.output; ++y) {
    float* rows = grad_input + 2 * y * w.width.input;
    cover_row(w.width.output, lanes, [&](int64_t x) HWY_ATTR {
      const auto grad = hn::Div(hn::LoadU(d, grad_output + x), by);
      hn::StoreInterleaved2(grad, grad, d, rows + 2 * x);
      hn::StoreInterleaved2(grad, grad, d, rows + w.width.input + 2 * x);
    });
    grad_output += w.width.output;
  }
}

float divisor_of_four(int64_t divisor_override) {
  return divisor_override == 0 ? 4.0f : static_cast<float>(divisor_override);
}

template <class T>
void run_avg_pool(const AvgPoolArgs& args, const TappedWindows& w) {
  using C = compute_t<T>;
  const int64_t in = w.input_plane();
  const int64_t out = w.output_plane();
  parallel_for(args.planes, plane_grain(out * w.taps()), [&](int64_t begin, int64_t end) {
    InputPlane<T> input(in);
    OutputPlane<T> output(out);
    const std::unique_ptr<C[]> divisors(new C[static_cast<size_t>(w.width.output)]);
    for (int64_t p = begin; p < end; ++p) {
      T* to = static_cast<T*>(args.output) + p * out;
      if constexpr (std::is_same_v<T, float>) {
        if (is_two_by_two(w)) {
          with_row_vectors(w.width.output, [&](auto d) HWY_ATTR {
            avg_pool_plane_two_by_two(d, w, divisor_of_four(args.divisor_override),
                                      static_cast<const float*>(args.input) + p * in, to);
          });
          continue;
        }
      }
      avg_pool_plane(w, args, input.load(static_cast<const T*>(args.input) + p * in),
                     output.begin(to), divisors.get());
      output.finish(to);
    }
  });
}

void avg_pool(const AvgPoolArgs& args) {
  if (args.inner > 1) return pool_cpu::side_by_side_pools().avg_pool(args);
  const TappedWindows w(args.shape);
  visit_dtype(Floating{}, args.dtype, "avg_pool",
              [&]<class T>(Tag<T>) { run_avg_pool<T>(args, w); });
}

// The gradient of a sum over windows: each grad_output, divided, goes to all of its taps.
template <class C>
void avg_pool_backward_plane(const TappedWindows& w, const AvgPoolBackwardArgs& args,
                             const C* grad_output, C* grad_input, C* scaled) {
  const int64_t stride = w.width.stride;
  std::fill(grad_input, grad_input + w.input_plane(), C(0));
  for (int64_t z = 0; z < w.depth.output; ++z) {
    for (int64_t y = 0; y < w.height.output; ++y) {
      divisor_row(w, args.count_include_pad, args.divisor_override, z, y, scaled);
      for (int64_t x = 0; x < w.width.output; ++x) scaled[x] = grad_output[x] / scaled[x];
      w.visit_taps(z, y, [&](int64_t first, int64_t n, int64_t position) {
        const C* grad = scaled + first;
        C* to = grad_input + position;
        for (int64_t i = 0; i < n; ++i) to[i * stride] += grad[i];
      });
      grad_output += w.width.output;
    }
  }
}

template <class T>
void run_avg_pool_backward(const AvgPoolBackwardArgs& args, const TappedWindows& w) {
  using C = compute_t<T>;
  const int64_t in = w.input_plane();
  const int64_t out = w.output_plane();
  parallel_for(args.planes, plane_grain(out * w.taps()), [&](int64_t begin, int64_t end) {
    InputPlane<T> grad_output(out);
    OutputPlane<T> grad_input(in);
    const std::unique_ptr<C[]> scaled(new C[static_cast<size_t>(w.width.output)]);
    for (int64_t p = begin; p < end; ++p) {
      T* to = static_cast<T*>(args.grad_input) + p * in;
      if constexpr (std::is_same_v<T, float>) {
        if (is_two_by_two(w)) {
          with_row_vectors(w.width.output, [&](auto d) HWY_ATTR {
            avg_pool_backward_plane_two_by_two(
                d, w, divisor_of_four(args.divisor_override),
                static_cast<const float*>(args.grad_output) + p * out, to);
          });
          continue;
        }
      }
      avg_pool_backward_plane(w, args,
                              grad_output.load(static_cast<const T*>(args.grad_output) + p * out),
                              grad_input.begin(to), scaled.get());
      grad_input.finish(to);
    }
  });
}

void avg_pool_backward(const AvgPoolBackwardArgs& args) {
  if (args.inner > 1) return pool_cpu::side_by_side_pools().avg_pool_backward(args);
  const TappedWindows w(args.shape);
  visit_dtype(Floating{}, args.dtype, "avg_pool_backward",
              [&]<class T>(Tag<T>) { run_avg_pool_backward<T>(args, w); });
}

}  // namespace

PoolKernels pool_kernels() {
  PoolKernels table;
  table.max_pool = max_pool;
  table.avg_pool = avg_pool;
  table.avg_pool_backward = avg_pool_backward;
  return table;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/pool/scalar_pools.h"

namespace taut::kernels {

HWY_EXPORT(pool_kernels);

PoolKernels pool_kernels_cpu() {
  PoolKernels table = HWY_DYNAMIC_DISPATCH(pool_kernels)();
  table.max_pool_backward = pool_cpu::max_pool_backward;
  table.adaptive_avg_pool = pool_cpu::adaptive_avg_pool;
  table.adaptive_avg_pool_backward = pool_cpu::adaptive_avg_pool_backward;
  table.adaptive_max_pool = pool_cpu::adaptive_max_pool;
  return table;
}

}  // namespace taut::kernels
#endif
