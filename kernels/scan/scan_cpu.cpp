#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/scan/scan_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "kernels/api/scan.h"
#include "kernels/api/visit_dtype.h"
#include "taut/base/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

constexpr int64_t kGrain = 32768;
// Columns that are scanned together when inner > 1.
constexpr int64_t kTileCols = 512;
// A row is scanned in blocks of eight segments, which keep eight chains of additions in flight.
constexpr int64_t kSegments = 8;
constexpr int64_t kBlock = 4096;
// A long row is cut into chunks that threads share.
constexpr int64_t kChunk = 16 * kBlock;

// int64 addition and multiplication wrap around.
template <class A>
HWY_INLINE A plus(A a, A b) {
  if constexpr (std::is_same_v<A, int64_t>) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  } else {
    return a + b;
  }
}
template <class A>
HWY_INLINE A times(A a, A b) {
  if constexpr (std::is_same_v<A, int64_t>) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  } else {
    return a * b;
  }
}

template <class Out, class A>
HWY_INLINE Out rounded(A value) {
  if constexpr (sizeof(Out) == 2 && is_floating_point(dtype_of<Out>)) {
    return static_cast<Out>(static_cast<float>(value));
  } else {
    return static_cast<Out>(value);
  }
}

/// Cumulative sums of one row, first to last (step 1) or last to first (step -1; the pointers then
/// name the last element). The order of the additions depends on the length only: within a segment
/// one after the other, then segments, blocks and chunks.
template <class In, class Out>
class RowSum {
 public:
  using A = accumulate_t<In>;

  explicit RowSum(int64_t step) : step_(step) {}

  // Adds `before` to the sums of up to kChunk elements; returns the chunk's own total.
  template <bool kWrites>
  A chunk(const In* x, int64_t n, A before, Out* y) const {
    A total = 0;
    for (int64_t i = 0; i < n; i += kBlock) {
      const int64_t count = std::min(kBlock, n - i);
      total = plus(total, block<kWrites>(x + i * step_, count, plus(before, total),
                                         kWrites ? y + i * step_ : y));
    }
    return total;
  }

 private:
  template <bool kWrites>
  HWY_NOINLINE A block(const In* x, int64_t n, A before, Out* y) const {
    if (n < 64) return short_block<kWrites>(x, n, before, y);
    A local[kBlock];
    A sums[kSegments] = {};
    const int64_t length = (n + kSegments - 1) / kSegments;
    const int64_t last = n - (kSegments - 1) * length;  // the last segment may be shorter
    const int64_t common = std::max<int64_t>(0, last);
    advance<kWrites>(x, length, common, sums, local);
    for (int64_t i = common; i < length; ++i) {
      for (int64_t s = 0; s < kSegments && s * length + i < n; ++s) {
        sums[s] = plus(sums[s], static_cast<A>(x[(s * length + i) * step_]));
        if constexpr (kWrites) local[s * length + i] = sums[s];
      }
    }
    A total = 0;
    for (int64_t s = 0; s < kSegments; ++s) {
      if constexpr (kWrites) {
        const A base = plus(before, total);
        const int64_t end = std::min(n, (s + 1) * length);
        if (step_ == 1) {
          for (int64_t i = s * length; i < end; ++i) y[i] = rounded<Out>(plus(base, local[i]));
        } else {
          for (int64_t i = s * length; i < end; ++i) y[-i] = rounded<Out>(plus(base, local[i]));
        }
      }
      total = plus(total, sums[s]);
    }
    return total;
  }

  // The first `count` elements of every segment; sums by name stay in registers.
  template <bool kWrites>
  void advance(const In* x, int64_t length, int64_t count, A* sums, A* local) const {
    const int64_t segment = length * step_;
    const In *x0 = x, *x1 = x0 + segment, *x2 = x1 + segment, *x3 = x2 + segment;
    const In *x4 = x3 + segment, *x5 = x4 + segment, *x6 = x5 + segment, *x7 = x6 + segment;
    A s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    for (int64_t i = 0, at = 0; i < count; ++i, at += step_) {
      s0 = plus(s0, static_cast<A>(x0[at]));
      s1 = plus(s1, static_cast<A>(x1[at]));
      s2 = plus(s2, static_cast<A>(x2[at]));
      s3 = plus(s3, static_cast<A>(x3[at]));
      s4 = plus(s4, static_cast<A>(x4[at]));
      s5 = plus(s5, static_cast<A>(x5[at]));
      s6 = plus(s6, static_cast<A>(x6[at]));
      s7 = plus(s7, static_cast<A>(x7[at]));
      if constexpr (kWrites) {
        local[i] = s0;
        local[length + i] = s1;
        local[2 * length + i] = s2;
        local[3 * length + i] = s3;
        local[4 * length + i] = s4;
        local[5 * length + i] = s5;
        local[6 * length + i] = s6;
        local[7 * length + i] = s7;
      }
    }
    const A all[kSegments] = {s0, s1, s2, s3, s4, s5, s6, s7};
    std::copy(all, all + kSegments, sums);
  }

  template <bool kWrites>
  A short_block(const In* x, int64_t n, A before, Out* y) const {
    A sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      sum = plus(sum, static_cast<A>(x[i * step_]));
      if constexpr (kWrites) y[i * step_] = rounded<Out>(plus(before, sum));
    }
    return sum;
  }

  const int64_t step_;
};

template <class In, class Out>
void cumsum_rows(const ScanArgs& args) {
  using A = accumulate_t<In>;
  const int64_t n = args.dim;
  const int64_t step = args.is_reversed ? -1 : 1;
  const int64_t first = args.is_reversed ? n - 1 : 0;
  const In* x = static_cast<const In*>(args.input) + first;
  Out* y = static_cast<Out*>(args.output) + first;
  const RowSum<In, Out> scan(step);
  const int64_t chunks = (n + kChunk - 1) / kChunk;
  const bool shares_rows = args.outer >= get_num_threads() || chunks == 1 || get_num_threads() == 1;
  if (shares_rows) {
    parallel_for(args.outer, std::max<int64_t>(1, kGrain / n), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        A before = 0;
        for (int64_t i = 0; i < n; i += kChunk) {
          const int64_t at = row * n + i * step;
          before = plus(before,
                        scan.template chunk<true>(x + at, std::min(kChunk, n - i), before, y + at));
        }
      }
    });
    return;
  }
  // Totals of all chunks first, then what is before each, then the sums.
  const std::unique_ptr<A[]> before(new A[static_cast<size_t>(args.outer * chunks)]);
  const auto each_chunk = [&](auto&& body) {
    parallel_for(args.outer * chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t start = i % chunks * kChunk;
        const int64_t at = i / chunks * n + start * step;
        body(before[static_cast<size_t>(i)], x + at, std::min(kChunk, n - start), y + at);
      }
    });
  };
  // In place the totals must be known before anything is written, so the two passes stay apart.
  each_chunk([&](A& total, const In* from, int64_t count, Out* to) {
    total = scan.template chunk<false>(from, count, A(0), to);
  });
  for (int64_t row = 0; row < args.outer; ++row) {
    A sum = 0;
    for (int64_t c = 0; c < chunks; ++c) {
      A& entry = before[static_cast<size_t>(row * chunks + c)];
      const A total = entry;
      entry = sum;
      sum = plus(sum, total);
    }
  }
  each_chunk([&](A& base, const In* from, int64_t count, Out* to) {
    scan.template chunk<true>(from, count, base, to);
  });
}

// What a serial scan accumulates in: double for all floats.
template <class In>
using SerialAcc = std::conditional_t<is_floating_point(dtype_of<In>), double, int64_t>;

struct AddSerial {
  template <class A>
  static A identity() {
    return A(0);
  }
  template <class A>
  static HWY_INLINE A fold(A a, A x) {
    return plus(a, x);
  }
};

struct MultiplySerial {
  template <class A>
  static A identity() {
    return A(1);
  }
  template <class A>
  static HWY_INLINE A fold(A a, A x) {
    return times(a, x);
  }
};

// log(exp(a) + exp(x)) = m + log1p(exp(-|a - x|)), m = max(a, x).
struct AddExponentials {
  template <class A>
  static A identity() {
    return -std::numeric_limits<A>::infinity();
  }
  template <class A>
  static A fold(A a, A x) {
    if (a != a || x != x) return a + x;
    const A high = std::max(a, x), low = std::min(a, x);
    if (std::isinf(high)) return high;
    return high + std::log1p(std::exp(low - high));
  }
};

template <class Op, class In, class Out>
void scan_tile(const In* x, Out* y, int64_t dim, int64_t stride, int64_t cols) {
  using A = SerialAcc<In>;
  A accumulators[kTileCols];
  A* HWY_RESTRICT sums = accumulators;
  std::fill(sums, sums + cols, Op::template identity<A>());
  for (int64_t k = 0; k < dim; ++k, x += stride, y += stride) {
    for (int64_t c = 0; c < cols; ++c) {
      sums[c] = Op::fold(sums[c], static_cast<A>(x[c]));
      y[c] = rounded<Out>(sums[c]);
    }
  }
}

// Calls tile(offset of its first element, columns) for all tiles of (outer, inner).
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

template <class Op, class In, class Out>
void scan_tiles(const ScanArgs& args) {
  const In* x = static_cast<const In*>(args.input);
  Out* y = static_cast<Out*>(args.output);
  const int64_t start = args.is_reversed ? (args.dim - 1) * args.inner : 0;
  const int64_t stride = args.is_reversed ? -args.inner : args.inner;
  for_tiles(args.outer, args.dim, args.inner, [=, &args](int64_t offset, int64_t cols) {
    scan_tile<Op>(x + start + offset, y + start + offset, args.dim, stride, cols);
  });
}

bool is_empty(const ScanArgs& args) { return args.outer * args.dim * args.inner == 0; }

template <class Op>
void scan_any(const ScanArgs& args, const char* op) {
  if (is_empty(args)) return;
  constexpr bool kIsSum = std::is_same_v<Op, AddSerial>;
  const DType dtype = args.input_dtype == kBool ? kUInt8 : args.input_dtype;
  visit_dtype(Arithmetic{}, dtype, op, [&]<class In>(Tag<In>) {
    using Out = std::conditional_t<is_floating_point(dtype_of<In>), In, int64_t>;
    if constexpr (kIsSum) {
      if (args.inner == 1) return cumsum_rows<In, Out>(args);
    }
    scan_tiles<Op, In, Out>(args);
  });
}

void cumsum(const ScanArgs& args) { scan_any<AddSerial>(args, "cumsum"); }
void cumprod(const ScanArgs& args) { scan_any<MultiplySerial>(args, "cumprod"); }

void logcumsumexp(const ScanArgs& args) {
  if (is_empty(args)) return;
  visit_dtype(Floating{}, args.input_dtype, "logcumsumexp",
              [&]<class T>(Tag<T>) { scan_tiles<AddExponentials, T, T>(args); });
}

template <bool kIsMax, class T>
void extremum_tile(const T* HWY_RESTRICT x, T* HWY_RESTRICT values, int64_t* HWY_RESTRICT indices,
                   int64_t dim, int64_t inner, int64_t cols) {
  using A = compute_t<T>;
  A best[kTileCols];
  int64_t at[kTileCols] = {};
  for (int64_t c = 0; c < cols; ++c) best[c] = static_cast<A>(x[c]);
  for (int64_t k = 0; k < dim; ++k, x += inner, values += inner, indices += inner) {
    for (int64_t c = 0; c < cols; ++c) {
      const A value = static_cast<A>(x[c]), old = best[c];
      const bool takes = (kIsMax ? value >= old : value <= old) | (value != value);
      best[c] = takes ? value : old;
      at[c] = takes ? k : at[c];
      values[c] = static_cast<T>(best[c]);
      indices[c] = at[c];
    }
  }
}

template <bool kIsMax>
void extremum_scan(const IndexScanArgs& args) {
  if (args.outer * args.dim * args.inner == 0) return;
  const DType dtype = args.dtype == kBool ? kUInt8 : args.dtype;
  visit_dtype(Arithmetic{}, dtype, kIsMax ? "cummax" : "cummin", [&]<class T>(Tag<T>) {
    const T* x = static_cast<const T*>(args.input);
    T* values = static_cast<T*>(args.values);
    for_tiles(args.outer, args.dim, args.inner, [&](int64_t offset, int64_t cols) {
      extremum_tile<kIsMax>(x + offset, values + offset, args.indices + offset, args.dim,
                            args.inner, cols);
    });
  });
}

ScanKernels scan_table() {
  ScanKernels table;
  table.cumsum = cumsum;
  table.cumprod = cumprod;
  table.logcumsumexp = logcumsumexp;
  table.cummax = extremum_scan<true>;
  table.cummin = extremum_scan<false>;
  return table;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(scan_table);
ScanKernels scan_kernels_cpu() { return HWY_DYNAMIC_DISPATCH(scan_table)(); }

}  // namespace taut::kernels
#endif
