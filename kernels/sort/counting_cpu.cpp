// Counting values into bins.

#include <algorithm>
#include <memory>
#include <type_traits>

#include "kernels/api/visit_dtype.h"
#include "kernels/sort/sort_kernels.h"

namespace taut::kernels::sort_cpu {
namespace {

template <class T, class W>
void count_into(const BincountArgs& args, W* output) {
  const T* input = static_cast<const T*>(args.input);
  const W* weights = static_cast<const W*>(args.weights);
  std::fill(output, output + args.bins, W(0));
  for (int64_t i = 0; i < args.n; ++i) {
    output[static_cast<int64_t>(input[i])] += weights == nullptr ? W(1) : weights[i];
  }
}

// The bin of a value in equal parts of [low, high], as PyTorch computes it; -1 outside.
template <class C>
int64_t uniform_bin(C value, C low, C high, int64_t bins) {
  if (!(value >= low && value <= high)) return -1;
  const int64_t bin = static_cast<int64_t>((value - low) * static_cast<C>(bins) / (high - low));
  return std::min(bin, bins - 1);
}

template <class C>
int64_t edged_bin(C value, const C* edges, int64_t bins) {
  if (!(value >= edges[0] && value <= edges[bins])) return -1;
  const int64_t bin = std::upper_bound(edges, edges + bins + 1, value) - edges - 1;
  return std::min(bin, bins - 1);
}

template <class T>
void count_histogram(const HistogramArgs& args) {
  // Bins are computed in floating point, counts of integers and 16-bit floats exactly.
  using C = std::conditional_t<std::is_integral_v<T>, double, compute_t<T>>;
  using Sum = std::conditional_t<std::is_same_v<T, float>, float, double>;
  const T* input = static_cast<const T*>(args.input);
  const T* weights = static_cast<const T*>(args.weights);
  const std::unique_ptr<Sum[]> sums(new Sum[static_cast<size_t>(args.bins)]());
  const std::unique_ptr<int64_t[]> counts(new int64_t[static_cast<size_t>(args.bins)]());
  for (int64_t i = 0; i < args.n; ++i) {
    int64_t bin = -1;
    if constexpr (std::is_same_v<T, C>) {
      if (args.edges != nullptr)
        bin = edged_bin(input[i], static_cast<const C*>(args.edges), args.bins);
    }
    if (args.edges == nullptr) {
      bin = uniform_bin(static_cast<C>(input[i]), static_cast<C>(args.low),
                        static_cast<C>(args.high), args.bins);
    }
    if (bin < 0) continue;
    if (weights == nullptr) {
      ++counts[static_cast<size_t>(bin)];
    } else {
      sums[static_cast<size_t>(bin)] += static_cast<Sum>(weights[i]);
    }
  }
  T* output = static_cast<T*>(args.output);
  for (int64_t b = 0; b < args.bins; ++b) {
    const size_t bin = static_cast<size_t>(b);
    if constexpr (std::is_integral_v<T>) {
      output[b] = static_cast<T>(counts[bin]);
    } else {
      output[b] = static_cast<T>(weights == nullptr ? static_cast<compute_t<T>>(counts[bin])
                                                    : static_cast<compute_t<T>>(sums[bin]));
    }
  }
}

}  // namespace

IndexResult bincount(const BincountArgs& args) {
  IndexResult result;
  visit_dtype(Integral{}, args.dtype, "bincount", [&]<class T>(Tag<T>) {
    const T* input = static_cast<const T*>(args.input);
    for (int64_t i = 0; i < args.n; ++i) {
      const int64_t value = static_cast<int64_t>(input[i]);
      if (value < 0 || value >= args.bins) {
        result = {false, value, args.bins, i, 0};
        return;
      }
    }
    if (args.weights == nullptr) {
      count_into<T>(args, static_cast<int64_t*>(args.output));
    } else if (args.weights_dtype == DType::float32) {
      count_into<T>(args, static_cast<float*>(args.output));
    } else {
      count_into<T>(args, static_cast<double*>(args.output));
    }
  });
  return result;
}

void histogram(const HistogramArgs& args) {
  visit_dtype(Arithmetic{}, args.dtype, "histogram",
              [&]<class T>(Tag<T>) { count_histogram<T>(args); });
}

}  // namespace taut::kernels::sort_cpu
