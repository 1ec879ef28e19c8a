#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

#include "kernels/api/half_rows.h"
#include "kernels/api/simd_targets.h"
#include "kernels/api/visit_dtype.h"
#include "kernels/pool/side_by_side.h"
#include "kernels/pool/windows.h"
#include "taut/base/parallel.h"

// Compiled for each instruction set, so that the compiler vectorises the loops over planes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool/side_by_side_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::pool_cpu {
namespace HWY_NAMESPACE {
namespace {

// Planes that are pooled at a time: what is kept of each stays in the first-level cache.
constexpr int64_t kSlice = 64;

// What an output reads along one axis: `count` inputs from `first` on, a dilation apart.
struct Reach {
  int64_t first;
  int64_t count;
};

Reach reach_of(const Axis& axis, int64_t out) {
  Reach reach{0, 0};
  for (int64_t t = 0; t < axis.kernel; ++t) {
    const int64_t at = axis.position(out, t);
    if (at < 0 || at >= axis.input) continue;
    if (reach.count++ == 0) reach.first = at;
  }
  return reach;
}
Reach adaptive_reach_of(const Axis& axis, int64_t out) {
  return {axis.adaptive_begin(out), axis.adaptive_end(out) - axis.adaptive_begin(out)};
}

// The windows of a pooling, worked out once for all planes.
class AllWindows {
 public:
  template <class ReachOf>
  AllWindows(const Windows& windows, const ReachOf& reach_of_output) : windows_(windows) {
    const Axis* axes[] = {&windows_.depth, &windows_.height, &windows_.width};
    for (int d = 0; d < 3; ++d) {
      steps_[d] = axes[d]->dilation;
      for (int64_t out = 0; out < axes[d]->output; ++out) {
        reaches_[d].push_back(reach_of_output(*axes[d], out));
      }
    }
  }
  explicit AllWindows(const PoolShape& shape) : AllWindows(windows_of(shape), reach_of) {}
  AllWindows(const Dims& input_size, const Dims& output_size)
      : AllWindows(adaptive_windows_of(input_size, output_size), adaptive_reach_of) {}

  int64_t input_plane() const { return windows_.input_plane(); }
  int64_t output_plane() const { return windows_.output_plane(); }
  const Windows& windows() const { return windows_; }
  const Reach& reach(int d, int64_t out) const { return reaches_[d][static_cast<size_t>(out)]; }
  int64_t step(int d) const { return steps_[d]; }
  /// Inputs that are read for a plane, about.
  int64_t work() const {
    int64_t reads = 1;
    for (const std::vector<Reach>& axis : reaches_) {
      int64_t of_axis = 0;
      for (const Reach& reach : axis) of_axis += reach.count;
      reads *= of_axis;
    }
    return reads;
  }

 private:
  Windows windows_;
  std::vector<Reach> reaches_[3];
  int64_t steps_[3];
};

// One of them, for the output at `out`.
struct Window {
  const AllWindows& all;
  int64_t out[3];

  int64_t size() const {
    return all.reach(0, out[0]).count * all.reach(1, out[1]).count * all.reach(2, out[2]).count;
  }
  // Calls visit(position in the plane) for the inputs that it covers, in order.
  template <class Visit>
  void visit(const Visit& visit_input) const {
    const Windows& w = all.windows();
    const Reach z_reach = all.reach(0, out[0]);
    const Reach y_reach = all.reach(1, out[1]);
    const Reach x_reach = all.reach(2, out[2]);
    for (int64_t z = 0; z < z_reach.count; ++z) {
      for (int64_t y = 0; y < y_reach.count; ++y) {
        const int64_t at_z = z_reach.first + z * all.step(0);
        const int64_t at_y = y_reach.first + y * all.step(1);
        int64_t at = (at_z * w.height.input + at_y) * w.width.input + x_reach.first;
        for (int64_t x = 0; x < x_reach.count; ++x, at += all.step(2)) visit_input(at);
      }
    }
  }
};

// Calls visit(position in the plane, window) for each output.
template <class Visit>
void visit_outputs(const AllWindows& all, const Visit& visit) {
  const Windows& w = all.windows();
  int64_t position = 0;
  for (int64_t z = 0; z < w.depth.output; ++z) {
    for (int64_t y = 0; y < w.height.output; ++y) {
      for (int64_t x = 0; x < w.width.output; ++x) visit(position++, Window{all, {z, y, x}});
    }
  }
}

// Some of the planes that lie side by side: `count` of `inner`, from `first` on, of a group.
struct Slice {
  int64_t group;
  int64_t first;
  int64_t count;
  int64_t inner;

  // Where a position of a tensor of `plane` positions begins.
  int64_t at(int64_t plane, int64_t position) const {
    return (group * plane + position) * inner + first;
  }
};

// Calls body(slice) for all planes; `work` is that of one of them.
template <class Body>
void for_slices(int64_t planes, int64_t inner, int64_t work, const Body& body) {
  const int64_t slices = (inner + kSlice - 1) / kSlice;
  const int64_t slice_work = std::max<int64_t>(1, work * std::min(inner, kSlice));
  const int64_t grain = std::max<int64_t>(1, 32 * 1024 / slice_work);
  parallel_for(planes / inner * slices, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % slices * kSlice;
      body(Slice{i / slices, first, std::min(kSlice, inner - first), inner});
    }
  });
}

// Elements side by side in the type that they are computed in: where they lie, or widened.
template <class T>
struct Row {
  using C = compute_t<T>;
  C wide[std::is_same_v<C, T> ? 1 : kSlice];

  const C* load(const T* from, int64_t n) {
    if constexpr (std::is_same_v<C, T>) {
      return from;
    } else {
      widen_row(from, wide, n);
      return wide;
    }
  }
};
template <class T>
void store_row(const compute_t<T>* from, T* to, int64_t n) {
  if constexpr (std::is_same_v<compute_t<T>, T>) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
  } else {
    narrow_row(from, to, n);
  }
}

template <class C>
constexpr C lowest() {
  if constexpr (std::is_integral_v<C>) {
    return std::numeric_limits<C>::lowest();
  } else {
    return -std::numeric_limits<C>::infinity();
  }
}

// The largest so far of each plane of a slice, and where it was found; -1 means nowhere. Positions
// of usual planes fit into 32 bits, of which vectors hold as many as of floats.
template <class C, class Index>
struct Best {
  C values[kSlice];
  Index indices[kSlice];

  void clear(int64_t n) {
    std::fill_n(values, n, lowest<C>());
    std::fill_n(indices, n, Index{-1});
  }
  void take(const C* from, int64_t index, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      const C value = from[i];
      const bool larger = (value > values[i]) | (value != value) | (indices[i] < 0);
      values[i] = larger ? value : values[i];
      indices[i] = larger ? static_cast<Index>(index) : indices[i];
    }
  }
};
// Where nobody asks for the places.
template <class C>
struct Best<C, void> {
  C values[kSlice];

  void clear(int64_t n) { std::fill_n(values, n, lowest<C>()); }
  void take(const C* from, int64_t, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      const bool larger = (from[i] > values[i]) | (from[i] != from[i]);
      values[i] = larger ? from[i] : values[i];
    }
  }
};

template <class T, class Index, class Args>
void run_max_slices(const Args& args, const AllWindows& w) {
  for_slices(args.planes, args.inner, w.work(), [&](const Slice& slice) {
    Row<T> row;
    Best<compute_t<T>, Index> best;
    visit_outputs(w, [&](int64_t output, const Window& window) {
      best.clear(slice.count);
      window.visit([&](int64_t input) {
        const T* from = static_cast<const T*>(args.input) + slice.at(w.input_plane(), input);
        best.take(row.load(from, slice.count), input, slice.count);
      });
      const int64_t to = slice.at(w.output_plane(), output);
      store_row(best.values, static_cast<T*>(args.output) + to, slice.count);
      if constexpr (!std::is_void_v<Index>) {
        std::copy_n(best.indices, slice.count, args.indices + to);
      }
    });
  });
}

// MaxPoolArgs or AdaptiveMaxPoolArgs, whose windows are `w`.
template <class T, class Args>
void run_max(const Args& args, const AllWindows& w) {
  if (args.indices == nullptr) return run_max_slices<T, void>(args, w);
  const bool is_usual = w.input_plane() <= std::numeric_limits<int32_t>::max();
  is_usual ? run_max_slices<T, int32_t>(args, w) : run_max_slices<T, int64_t>(args, w);
}

// `divisor_of(window)` is what its sum is divided by.
template <class T, class Args, class Divisor>
void run_avg(const Args& args, const AllWindows& w, const Divisor& divisor_of) {
  using C = compute_t<T>;
  for_slices(args.planes, args.inner, w.work(), [&](const Slice& slice) {
    Row<T> row;
    C sums[kSlice];
    visit_outputs(w, [&](int64_t output, const Window& window) {
      std::fill_n(sums, slice.count, C(0));
      window.visit([&](int64_t input) {
        const T* from = static_cast<const T*>(args.input) + slice.at(w.input_plane(), input);
        const C* values = row.load(from, slice.count);
        for (int64_t i = 0; i < slice.count; ++i) sums[i] += values[i];
      });
      const C divisor = static_cast<C>(divisor_of(window));
      for (int64_t i = 0; i < slice.count; ++i) sums[i] /= divisor;
      store_row(sums, static_cast<T*>(args.output) + slice.at(w.output_plane(), output),
                slice.count);
    });
  });
}

// The gradients of a slice's inputs while they are summed: where they go, or wide ones beside.
template <class T>
class InputGradients {
 public:
  using C = compute_t<T>;
  InputGradients(T* grad_input, int64_t plane, const Slice& slice)
      : grad_input_(grad_input), plane_(plane), slice_(slice) {
    if constexpr (std::is_same_v<C, T>) {
      sums_ = grad_input + slice.at(plane, 0);
      stride_ = slice.inner;
    } else {
      wide_.reset(new C[static_cast<size_t>(plane * slice.count)]);
      sums_ = wide_.get();
      stride_ = slice.count;
    }
    for (int64_t p = 0; p < plane; ++p) std::fill_n(at(p), slice.count, C(0));
  }
  C* at(int64_t position) { return sums_ + position * stride_; }
  void finish() {
    if constexpr (!std::is_same_v<C, T>) {
      for (int64_t p = 0; p < plane_; ++p) {
        store_row(at(p), grad_input_ + slice_.at(plane_, p), slice_.count);
      }
    }
  }

 private:
  T* grad_input_;
  int64_t plane_;
  Slice slice_;
  C* sums_;
  int64_t stride_;
  std::unique_ptr<C[]> wide_;
};

template <class T, class Args, class Divisor>
void run_avg_backward(const Args& args, const AllWindows& w, const Divisor& divisor_of) {
  using C = compute_t<T>;
  for_slices(args.planes, args.inner, w.work(), [&](const Slice& slice) {
    Row<T> row;
    C shares[kSlice];
    InputGradients<T> gradients(static_cast<T*>(args.grad_input), w.input_plane(), slice);
    visit_outputs(w, [&](int64_t output, const Window& window) {
      const T* from = static_cast<const T*>(args.grad_output) + slice.at(w.output_plane(), output);
      const C* grad = row.load(from, slice.count);
      const C divisor = static_cast<C>(divisor_of(window));
      for (int64_t i = 0; i < slice.count; ++i) shares[i] = grad[i] / divisor;
      window.visit([&](int64_t input) {
        C* to = gradients.at(input);
        for (int64_t i = 0; i < slice.count; ++i) to[i] += shares[i];
      });
    });
    gradients.finish();
  });
}

template <class T>
IndexResult run_max_backward(const MaxPoolBackwardArgs& args) {
  const int64_t size = args.input_plane;
  IndexResult result;
  std::mutex mutex;
  for_slices(args.planes, args.inner, size + args.output_plane, [&](const Slice& slice) {
    Row<T> row;
    InputGradients<T> gradients(static_cast<T*>(args.grad_input), size, slice);
    for (int64_t output = 0; output < args.output_plane; ++output) {
      const int64_t from = slice.at(args.output_plane, output);
      const auto* grad = row.load(static_cast<const T*>(args.grad_output) + from, slice.count);
      for (int64_t i = 0; i < slice.count; ++i) {
        const int64_t index = args.indices[from + i];
        if (static_cast<uint64_t>(index) < static_cast<uint64_t>(size)) {
          gradients.at(index)[i] += grad[i];
        } else if (index != -1) {
          const std::lock_guard lock(mutex);
          if (result.ok || from + i < result.position) result = {false, index, size, from + i, 0};
        }
      }
    }
    gradients.finish();
  });
  return result;
}

void max_pool(const MaxPoolArgs& args) {
  const AllWindows w(args.shape);
  visit_dtype(Arithmetic{}, args.dtype, "max_pool", [&]<class T>(Tag<T>) { run_max<T>(args, w); });
}

IndexResult max_pool_backward(const MaxPoolBackwardArgs& args) {
  IndexResult result;
  visit_dtype(Floating{}, args.dtype, "max_pool_backward",
              [&]<class T>(Tag<T>) { result = run_max_backward<T>(args); });
  return result;
}

// What a sum of AvgPoolArgs or AvgPoolBackwardArgs is divided by.
template <class Args>
auto divisor_of(const Args& args) {
  return [&args](const Window& window) {
    if (args.divisor_override != 0) return args.divisor_override;
    const Windows& w = window.all.windows();
    return w.depth.window_size(window.out[0], args.count_include_pad) *
           w.height.window_size(window.out[1], args.count_include_pad) *
           w.width.window_size(window.out[2], args.count_include_pad);
  };
}

void avg_pool(const AvgPoolArgs& args) {
  const AllWindows w(args.shape);
  visit_dtype(Floating{}, args.dtype, "avg_pool",
              [&]<class T>(Tag<T>) { run_avg<T>(args, w, divisor_of(args)); });
}

void avg_pool_backward(const AvgPoolBackwardArgs& args) {
  const AllWindows w(args.shape);
  visit_dtype(Floating{}, args.dtype, "avg_pool_backward",
              [&]<class T>(Tag<T>) { run_avg_backward<T>(args, w, divisor_of(args)); });
}

int64_t size_of(const Window& window) { return window.size(); }

void adaptive_avg_pool(const AdaptiveAvgPoolArgs& args) {
  const AllWindows w(args.input_size, args.output_size);
  visit_dtype(Floating{}, args.dtype, "adaptive_avg_pool",
              [&]<class T>(Tag<T>) { run_avg<T>(args, w, size_of); });
}

void adaptive_avg_pool_backward(const AdaptiveAvgPoolBackwardArgs& args) {
  const AllWindows w(args.input_size, args.output_size);
  visit_dtype(Floating{}, args.dtype, "adaptive_avg_pool_backward",
              [&]<class T>(Tag<T>) { run_avg_backward<T>(args, w, size_of); });
}

void adaptive_max_pool(const AdaptiveMaxPoolArgs& args) {
  const AllWindows w(args.input_size, args.output_size);
  visit_dtype(Arithmetic{}, args.dtype, "adaptive_max_pool",
              [&]<class T>(Tag<T>) { run_max<T>(args, w); });
}

}  // namespace

PoolKernels side_by_side_table() {
  PoolKernels table;
  table.max_pool = max_pool;
  table.max_pool_backward = max_pool_backward;
  table.avg_pool = avg_pool;
  table.avg_pool_backward = avg_pool_backward;
  table.adaptive_avg_pool = adaptive_avg_pool;
  table.adaptive_avg_pool_backward = adaptive_avg_pool_backward;
  table.adaptive_max_pool = adaptive_max_pool;
  return table;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels::pool_cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels::pool_cpu {

HWY_EXPORT(side_by_side_table);

const PoolKernels& side_by_side_pools() {
  static const PoolKernels table = HWY_DYNAMIC_DISPATCH(side_by_side_table)();
  return table;
}

}  // namespace taut::kernels::pool_cpu
#endif
