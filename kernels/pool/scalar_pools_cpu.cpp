// Max pooling backward and the adaptive poolings, whose windows differ from output to output.

#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>
#include <type_traits>

#include "kernels/api/visit_dtype.h"
#include "kernels/pool/scalar_pools.h"
#include "kernels/pool/side_by_side.h"
#include "kernels/pool/windows.h"
#include "taut/base/parallel.h"

namespace taut::kernels::pool_cpu {
namespace {

int64_t plane_grain(int64_t work) {
  return std::max<int64_t>(1, 32 * 1024 / std::max<int64_t>(1, work));
}

// Adds the gradients of a plane where they belong; returns the place of a bad index or -1.
template <class C, class T>
int64_t scatter_plane(const T* grad_output, const int64_t* indices, int64_t n, C* grad_input,
                      int64_t size) {
  std::fill(grad_input, grad_input + size, C(0));
  for (int64_t i = 0; i < n; ++i) {
    if (static_cast<uint64_t>(indices[i]) >= static_cast<uint64_t>(size)) {
      if (indices[i] == -1) continue;
      return i;
    }
    grad_input[indices[i]] += static_cast<C>(grad_output[i]);
  }
  return -1;
}

template <class T>
IndexResult run_max_pool_backward(const MaxPoolBackwardArgs& args) {
  using C = compute_t<T>;
  constexpr bool kNarrow = !std::is_same_v<C, T>;
  const int64_t in = args.input_plane;
  const int64_t out = args.output_plane;
  IndexResult result;
  std::mutex mutex;
  parallel_for(args.planes, plane_grain(in + out), [&](int64_t begin, int64_t end) {
    const std::unique_ptr<C[]> wide(kNarrow ? new C[static_cast<size_t>(in)] : nullptr);
    for (int64_t p = begin; p < end; ++p) {
      T* to = static_cast<T*>(args.grad_input) + p * in;
      C* sums = wide.get();
      if constexpr (!kNarrow) sums = to;
      const int64_t bad = scatter_plane(static_cast<const T*>(args.grad_output) + p * out,
                                        args.indices + p * out, out, sums, in);
      if (bad >= 0) {
        const std::lock_guard lock(mutex);
        const int64_t position = p * out + bad;
        if (result.ok || position < result.position) {
          result = {false, args.indices[position], in, position, 0};
        }
        return;
      }
      if constexpr (kNarrow) {
        for (int64_t i = 0; i < in; ++i) to[i] = static_cast<T>(sums[i]);
      }
    }
  });
  return result;
}

// Calls visit(output position, window) for each output of a plane; a window visits its inputs.
struct AdaptiveWindow {
  const Windows& w;
  int64_t begin[3];
  int64_t end[3];

  int64_t size() const { return (end[0] - begin[0]) * (end[1] - begin[1]) * (end[2] - begin[2]); }
  template <class Visit>
  void visit(const Visit& visit_input) const {
    for (int64_t z = begin[0]; z < end[0]; ++z) {
      for (int64_t y = begin[1]; y < end[1]; ++y) {
        const int64_t row = (z * w.height.input + y) * w.width.input;
        for (int64_t x = begin[2]; x < end[2]; ++x) visit_input(row + x);
      }
    }
  }
};

template <class Visit>
void visit_outputs(const Windows& w, const Visit& visit) {
  int64_t position = 0;
  for (int64_t z = 0; z < w.depth.output; ++z) {
    for (int64_t y = 0; y < w.height.output; ++y) {
      for (int64_t x = 0; x < w.width.output; ++x) {
        visit(
            position++,
            AdaptiveWindow{
                w,
                {w.depth.adaptive_begin(z), w.height.adaptive_begin(y), w.width.adaptive_begin(x)},
                {w.depth.adaptive_end(z), w.height.adaptive_end(y), w.width.adaptive_end(x)}});
      }
    }
  }
}

template <class T>
void avg_plane(const Windows& w, const T* input, T* output) {
  using C = compute_t<T>;
  visit_outputs(w, [&](int64_t position, const AdaptiveWindow& window) {
    C sum = C(0);
    window.visit([&](int64_t i) { sum += static_cast<C>(input[i]); });
    output[position] = static_cast<T>(sum / static_cast<C>(window.size()));
  });
}

template <class T>
void avg_backward_plane(const Windows& w, const T* grad_output, T* grad_input, compute_t<T>* sums) {
  using C = compute_t<T>;
  std::fill(sums, sums + w.input_plane(), C(0));
  visit_outputs(w, [&](int64_t position, const AdaptiveWindow& window) {
    const C grad = static_cast<C>(grad_output[position]) / static_cast<C>(window.size());
    window.visit([&](int64_t i) { sums[i] += grad; });
  });
  for (int64_t i = 0; i < w.input_plane(); ++i) grad_input[i] = static_cast<T>(sums[i]);
}

template <class T>
void max_plane(const Windows& w, const T* input, T* output, int64_t* indices) {
  using C = compute_t<T>;
  visit_outputs(w, [&](int64_t position, const AdaptiveWindow& window) {
    int64_t best = -1;
    C largest = C(0);
    window.visit([&](int64_t i) {
      const C value = static_cast<C>(input[i]);
      if (best >= 0 && !(value > largest) && value == value) return;
      best = i;
      largest = value;
    });
    output[position] = input[best];
    if (indices != nullptr) indices[position] = best;
  });
}

}  // namespace

IndexResult max_pool_backward(const MaxPoolBackwardArgs& args) {
  if (args.inner > 1) return side_by_side_pools().max_pool_backward(args);
  IndexResult result;
  visit_dtype(Floating{}, args.dtype, "max_pool_backward",
              [&]<class T>(Tag<T>) { result = run_max_pool_backward<T>(args); });
  return result;
}

void adaptive_avg_pool(const AdaptiveAvgPoolArgs& args) {
  if (args.inner > 1) return side_by_side_pools().adaptive_avg_pool(args);
  const Windows w = adaptive_windows_of(args.input_size, args.output_size);
  visit_dtype(Floating{}, args.dtype, "adaptive_avg_pool", [&]<class T>(Tag<T>) {
    parallel_for(args.planes, plane_grain(w.input_plane()), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        avg_plane(w, static_cast<const T*>(args.input) + p * w.input_plane(),
                  static_cast<T*>(args.output) + p * w.output_plane());
      }
    });
  });
}

void adaptive_avg_pool_backward(const AdaptiveAvgPoolBackwardArgs& args) {
  if (args.inner > 1) return side_by_side_pools().adaptive_avg_pool_backward(args);
  const Windows w = adaptive_windows_of(args.input_size, args.output_size);
  visit_dtype(Floating{}, args.dtype, "adaptive_avg_pool_backward", [&]<class T>(Tag<T>) {
    parallel_for(args.planes, plane_grain(w.input_plane()), [&](int64_t begin, int64_t end) {
      const std::unique_ptr<compute_t<T>[]> sums(
          new compute_t<T>[static_cast<size_t>(w.input_plane())]);
      for (int64_t p = begin; p < end; ++p) {
        avg_backward_plane(w, static_cast<const T*>(args.grad_output) + p * w.output_plane(),
                           static_cast<T*>(args.grad_input) + p * w.input_plane(), sums.get());
      }
    });
  });
}

void adaptive_max_pool(const AdaptiveMaxPoolArgs& args) {
  if (args.inner > 1) return side_by_side_pools().adaptive_max_pool(args);
  const Windows w = adaptive_windows_of(args.input_size, args.output_size);
  visit_dtype(Arithmetic{}, args.dtype, "adaptive_max_pool", [&]<class T>(Tag<T>) {
    parallel_for(args.planes, plane_grain(w.input_plane()), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        max_plane(w, static_cast<const T*>(args.input) + p * w.input_plane(),
                  static_cast<T*>(args.output) + p * w.output_plane(),
                  args.indices == nullptr ? nullptr : args.indices + p * w.output_plane());
      }
    });
  });
}

}  // namespace taut::kernels::pool_cpu
