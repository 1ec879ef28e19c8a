#include "kernels/api/simd_targets.h"
#include "kernels/api/thread_memory.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/softmax/softmax_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

#include "kernels/api/streaming.h"
#include "kernels/softmax/softmax_parts.h"
#include "kernels/softmax/softmax_row-inl.h"
#include "taut/base/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// About 10 us of exponentials, which is what a second thread has to save.
constexpr int64_t kGrain = 16384;
// Columns that are worked on together when inner > 1.
constexpr int64_t kTileCols = 512;

int64_t row_grain(int64_t n) { return std::max<int64_t>(1, kGrain / n); }

// Calls tile(offset of its first element, columns) for all tiles of (outer, dim, inner).
template <class Tile>
void for_tiles(int64_t outer, int64_t dim, int64_t inner, Tile&& tile) {
  const int64_t tiles = (inner + kTileCols - 1) / kTileCols;
  const int64_t width = (inner + tiles - 1) / tiles;
  const int64_t grain = std::max<int64_t>(1, kGrain / (dim * width));
  parallel_for(outer * tiles, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % tiles * width;
      if (first < inner) tile(i / tiles * dim * inner + first, std::min(width, inner - first));
    }
  });
}

// A row of compute_t<T> that belongs to this thread, at the start of a line: registers that
// straddle two lines would halve the speed.
template <class A>
A* scratch_row(int64_t n) {
  return thread_memory_of<A>(ThreadMemory::softmax_row, n);
}

// Whether rows of n results, one after another from y on, are written past the caches: such rows
// start at a line, are of whole lines, and stay in the second cache while they are worked on.
template <class T>
bool streams_rows(const T* y, int64_t rows, int64_t n) {
  const int64_t bytes = n * static_cast<int64_t>(sizeof(T));
  constexpr int64_t kLongest = 64 << 10;
  return std::is_same_v<T, compute_t<T>> && is_streamed(rows * bytes) && bytes <= kLongest &&
         bytes % 64 == 0 && reinterpret_cast<uintptr_t>(y) % 64 == 0;
}

template <class T>
HWY_NOINLINE void softmax_row(const T* x, int64_t n, T* y) {
  using A = compute_t<T>;
  A* terms;
  if constexpr (std::is_same_v<T, A>) {
    terms = y;
  } else {
    terms = scratch_row<A>(n);
  }
  const A sum = row_sum_exp<true>(x, n, row_max(x, n), terms);
  const Lanes<T> d;
  const auto scale = hn::Set(d, A(1) / sum);
  for_vectors(d, n, [&](auto load, auto store) { store(hn::Mul(load(terms), scale), y); });
}

template <class T>
HWY_NOINLINE void log_softmax_row(const T* x, int64_t n, T* y) {
  const auto m = row_max(x, n);
  const auto shift = std::log(row_sum_exp<false>(x, n, m, static_cast<compute_t<T>*>(nullptr)));
  const Lanes<T> d;
  const auto high = hn::Set(d, m), low = hn::Set(d, shift);
  for_vectors(d, n, [&](auto load, auto store) { store(hn::Sub(hn::Sub(load(x), high), low), y); });
}

// Rows of log_softmax that are written past the caches.
template <class T>
HWY_NOINLINE void stream_log_softmax(const T* x, int64_t rows, int64_t n, T* y) {
  const Lanes<T> d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const T m = row_max(x, n);
    const auto high = hn::Set(d, m);
    const auto low = hn::Set(d, std::log(row_sum_exp<false>(x, n, m, static_cast<T*>(nullptr))));
    for (int64_t i = 0; i < n; i += step) {
      hn::Stream(hn::Sub(hn::Sub(hn::LoadU(d, x + i), high), low), d, y + i);
    }
  }
  finish_streams();
}

// Rows of softmax that are written past the caches: while the exponentials of one keep the
// multipliers busy, the row before is written, which keeps memory busy.
template <class T>
HWY_NOINLINE void stream_softmax(const T* x, int64_t rows, int64_t n, T* y) {
  const Lanes<T> d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  T* terms = scratch_row<T>(2 * n);
  T* terms_before = terms + n;
  T sum = row_sum_exp<true>(x, n, row_max(x, n), terms);
  for (int64_t r = 1;; ++r) {
    std::swap(terms, terms_before);
    const auto scale = hn::Set(d, T(1) / sum);
    T* const to = y + (r - 1) * n;
    const auto write = [&](int64_t i) HWY_ATTR {
      hn::Stream(hn::Mul(hn::Load(d, terms_before + i), scale), d, to + i);
    };
    if (r == rows) {
      for (int64_t i = 0; i < n; i += step) write(i);
      return finish_streams();
    }
    sum = row_sum_exp<true>(x + r * n, n, row_max(x + r * n, n), terms, write);
  }
}

template <class T, bool kIsLog>
HWY_NOINLINE void softmax_tile(const T* x, int64_t dim, int64_t inner, int64_t cols, T* y) {
  using A = compute_t<T>;
  const Lanes<T> d;
  HWY_ALIGN A highest[kTileCols];
  HWY_ALIGN A sums[kTileCols];
  for (int64_t k = 0; k < dim; ++k) {
    const T* row = x + k * inner;
    for_vectors(d, cols, [&](auto load, auto store) {
      store(k == 0 ? load(row) : hn::Max(load(row), load(highest)), highest);
    });
  }
  for (int64_t k = 0; k < dim; ++k) {
    const T* row = x + k * inner;
    T* to = y + k * inner;
    for_vectors(d, cols, [&](auto load, auto store) {
      const auto e = exp_nonpositive(d, hn::Sub(load(row), load(highest)));
      store(k == 0 ? e : hn::Add(load(sums), e), sums);
      if constexpr (!kIsLog && std::is_same_v<T, A>) store(e, to);
    });
  }
  if constexpr (kIsLog) {
    for (int64_t c = 0; c < cols; ++c) sums[c] = std::log(sums[c]);
  } else {
    for (int64_t c = 0; c < cols; ++c) sums[c] = A(1) / sums[c];
  }
  for (int64_t k = 0; k < dim; ++k) {
    const T* row = x + k * inner;
    T* to = y + k * inner;
    for_vectors(d, cols, [&](auto load, auto store) {
      if constexpr (kIsLog) {
        store(hn::Sub(hn::Sub(load(row), load(highest)), load(sums)), to);
      } else if constexpr (std::is_same_v<T, A>) {
        store(hn::Mul(load(to), load(sums)), to);
      } else {  // a 16-bit exponential would have been rounded twice
        const auto e = exp_nonpositive(d, hn::Sub(load(row), load(highest)));
        store(hn::Mul(e, load(sums)), to);
      }
    });
  }
}

template <bool kIsLog>
void softmax_forward(const SoftmaxArgs& args) {
  const int64_t n = args.dim, inner = args.inner;
  if (args.outer * n * inner == 0) return;
  visit_dtype(Floating{}, args.dtype, "softmax", [&]<class T>(Tag<T>) {
    const T* x = static_cast<const T*>(args.input);
    T* y = static_cast<T*>(args.output);
    if (inner == 1) {
      const bool streams = streams_rows(y, args.outer, n);
      return parallel_for(args.outer, row_grain(n), [=](int64_t begin, int64_t end) {
        if constexpr (std::is_same_v<T, compute_t<T>>) {
          constexpr auto kStream = kIsLog ? stream_log_softmax<T> : stream_softmax<T>;
          if (streams) return kStream(x + begin * n, end - begin, n, y + begin * n);
        }
        for (int64_t r = begin; r < end; ++r) {
          kIsLog ? log_softmax_row(x + r * n, n, y + r * n) : softmax_row(x + r * n, n, y + r * n);
        }
      });
    }
    for_tiles(args.outer, n, inner, [=](int64_t offset, int64_t cols) {
      softmax_tile<T, kIsLog>(x + offset, n, inner, cols, y + offset);
    });
  });
}

// What the sum of the backward runs over: g y for softmax, g for log_softmax.
template <bool kIsLog, class V>
HWY_INLINE V add_term(V sum, V g, V y) {
  return kIsLog ? hn::Add(sum, g) : hn::MulAdd(g, y, sum);
}

template <bool kIsLog, class D, class V = hn::Vec<D>>
HWY_INLINE V gradient(D d, V g, V y, V sum) {
  if constexpr (kIsLog) {
    return hn::NegMulAdd(exp_nonpositive(d, y), sum, g);
  } else {
    return hn::Mul(y, hn::Sub(g, sum));
  }
}

template <bool kIsLog, class T>
HWY_NOINLINE void backward_row(const T* g, const T* y, int64_t n, T* grad) {
  const Lanes<T> d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = s0;
  int64_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    s0 = add_term<kIsLog>(s0, load_as(d, g + i), load_as(d, y + i));
    s1 = add_term<kIsLog>(s1, load_as(d, g + i + step), load_as(d, y + i + step));
  }
  for_vectors(d, n - i,
              [&](auto load, auto) { s0 = add_term<kIsLog>(s0, load(g + i), load(y + i)); });
  const auto sum = hn::Set(d, sum_lanes(d, hn::Add(s0, s1)));
  for_vectors(d, n, [&](auto load, auto store) {
    store(gradient<kIsLog>(d, load(g), load(y), sum), grad);
  });
}

template <bool kIsLog, class T>
HWY_NOINLINE void backward_tile(const T* g, const T* y, int64_t dim, int64_t inner, int64_t cols,
                                T* grad) {
  const Lanes<T> d;
  HWY_ALIGN compute_t<T> sums[kTileCols] = {};
  for (int64_t k = 0; k < dim; ++k) {
    const int64_t row = k * inner;
    for_vectors(d, cols, [&](auto load, auto store) {
      store(add_term<kIsLog>(load(sums), load(g + row), load(y + row)), sums);
    });
  }
  for (int64_t k = 0; k < dim; ++k) {
    const int64_t row = k * inner;
    for_vectors(d, cols, [&](auto load, auto store) {
      store(gradient<kIsLog>(d, load(g + row), load(y + row), load(sums)), grad + row);
    });
  }
}

template <bool kIsLog>
void softmax_gradient(const SoftmaxBackwardArgs& args) {
  const int64_t n = args.dim, inner = args.inner;
  if (args.outer * n * inner == 0) return;
  visit_dtype(Floating{}, args.dtype, "softmax_backward", [&]<class T>(Tag<T>) {
    const T* g = static_cast<const T*>(args.grad_output);
    const T* y = static_cast<const T*>(args.output);
    T* grad = static_cast<T*>(args.grad_input);
    if (inner == 1) {
      const ResultRows<T> results(grad, args.outer, n);
      return parallel_for(args.outer, row_grain(n), [&](int64_t begin, int64_t end) {
        results.form(begin, end, [&](int64_t r, T* row) {
          backward_row<kIsLog>(g + r * n, y + r * n, n, row);
        });
      });
    }
    for_tiles(args.outer, n, inner, [=](int64_t offset, int64_t cols) {
      backward_tile<kIsLog>(g + offset, y + offset, n, inner, cols, grad + offset);
    });
  });
}

void fill_softmax(SoftmaxKernels& table) {
  table.softmax = softmax_forward<false>;
  table.log_softmax = softmax_forward<true>;
  table.softmax_backward = softmax_gradient<false>;
  table.log_softmax_backward = softmax_gradient<true>;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_softmax);
void fill_softmax_kernels(SoftmaxKernels& table) { HWY_DYNAMIC_DISPATCH(fill_softmax)(table); }

SoftmaxKernels softmax_kernels_cpu() {
  SoftmaxKernels table;
  fill_softmax_kernels(table);
  fill_cross_entropy_kernels(table);
  return table;
}

}  // namespace taut::kernels
#endif
