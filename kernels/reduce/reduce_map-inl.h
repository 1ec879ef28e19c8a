// The Reducer of everything that maps each element and folds the results with one associative
// operation. VectorReducer works on float or double registers; LoopReducer on plain loops that the
// compiler vectorises, for operations that may be reordered freely (integers, logic).

#if defined(TAUT_KERNELS_REDUCE_REDUCE_MAP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_REDUCE_REDUCE_MAP_INL_H_
#undef TAUT_KERNELS_REDUCE_REDUCE_MAP_INL_H_
#else
#define TAUT_KERNELS_REDUCE_REDUCE_MAP_INL_H_
#endif

#include <limits>

#include "kernels/api/prefetch.h"
#include "kernels/reduce/reduce_typed-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

/// Op offers, over A = compute_t<T> and vectors of it: static identity<A>(), fill<A>() (an element
/// that leaves the result alone), map(d, v), fold(d, a, b). An Op whose result is NaN iff an
/// element is may offer fold_numbers(d, a, b), which need not care for NaN and is the faster for
/// it.
template <class T, class Op, class Finish>
struct VectorReducer {
  using In = T;
  using Acc = compute_t<T>;
  static constexpr int kPlanes = 1;
  static constexpr int64_t kTileCols = 2048;
  static constexpr int64_t kBlockRows = 256;
  static constexpr int64_t kAhead = 4096 / sizeof(T);
  using D = hn::ScalableTag<Acc>;
  using V = hn::Vec<D>;

  Finish finish;  // (const Acc* state, int64_t out)

  void identity(Acc* state) const { *state = Op::template identity<Acc>(); }

  void merge(Acc* into, const Acc* from) const {
    const hn::CappedTag<Acc, 1> one;
    *into = hn::GetLane(Op::fold(one, hn::Set(one, *into), hn::Set(one, *from)));
  }

  HWY_NOINLINE void row(const T* x, int64_t n, int64_t stride, Acc* state) const {
    *state = stride == 1 ? contiguous_row(x, n) : strided_row(x, n, stride);
  }

  HWY_NOINLINE void block(const T* x, int64_t rows, int64_t row_stride, int64_t cols,
                          int64_t col_stride, Acc* planes, int64_t) const {
    if (col_stride == 1) return contiguous_block(x, rows, row_stride, cols, planes);
    for (int64_t c = 0; c < cols; ++c) {
      const Acc sum = strided_row(x + c * col_stride, rows, row_stride);
      merge(planes + c, &sum);
    }
  }

 private:
  // Each lane of the lower half with that of the upper half, down to one.
  template <class DD>
  static HWY_INLINE Acc fold_lanes(DD d, hn::Vec<DD> v) {
    if constexpr (hn::MaxLanes(DD()) * sizeof(Acc) > 16) {
      const hn::Half<DD> half;
      return fold_lanes(half, Op::fold(half, hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
    } else if constexpr (sizeof(Acc) == 4) {
      v = Op::fold(d, v, hn::Shuffle1032(v));
      return hn::GetLane(Op::fold(d, v, hn::Shuffle2301(v)));
    } else {
      return hn::GetLane(Op::fold(d, v, hn::Shuffle01(v)));
    }
  }

  static Acc contiguous_row(const T* x, int64_t n) {
    const D d;
    const int64_t step = static_cast<int64_t>(hn::Lanes(d));
    if (n < step) return strided_row(x, n, 1);
    const V none = hn::Set(d, Op::template identity<Acc>());
    V a0 = none, a1 = none, a2 = none, a3 = none, a4 = none, a5 = none, a6 = none, a7 = none;
    // A sum is NaN where an element is (or infinities of both signs are), and costs less than to
    // ask each element.
    V even = hn::Zero(d), odd = even;
    const auto add = [&](V& into, V& watch, V value) HWY_ATTR {
      if constexpr (kWatchesNan) watch = hn::Add(watch, value);
      into = fold_watched(d, into, Op::map(d, value));
    };
    const auto take = [&](V& into, V& watch, const T* from)
                          HWY_ATTR { add(into, watch, load_as(d, from)); };
    int64_t i = 0;
    for (; i + 8 * step <= n; i += 8 * step) {
      // A long row comes in leaves, between which the hardware would stop to look ahead.
      for (int64_t k = 0; k < 8; ++k) fetch_into_second_cache(x + i + k * step + kAhead);
      take(a0, even, x + i);
      take(a1, odd, x + i + step);
      take(a2, even, x + i + 2 * step);
      take(a3, odd, x + i + 3 * step);
      take(a4, even, x + i + 4 * step);
      take(a5, odd, x + i + 5 * step);
      take(a6, even, x + i + 6 * step);
      take(a7, odd, x + i + 7 * step);
    }
    for (; i + 2 * step <= n; i += 2 * step) {
      take(a0, even, x + i);
      take(a1, odd, x + i + step);
    }
    if (i + step <= n) {
      take(a2, even, x + i);
      i += step;
    }
    if (i < n) add(a3, odd, load_first(d, x + i, n - i, Op::template fill<Acc>()));
    if constexpr (kWatchesNan) {
      const auto is_suspect = hn::IsNaN(hn::Add(even, odd));
      if (HWY_UNLIKELY(!hn::AllFalse(d, is_suspect)) && has_nan(x, n)) {
        return std::numeric_limits<Acc>::quiet_NaN();
      }
    }
    a0 = fold_watched(d, fold_watched(d, a0, a1), fold_watched(d, a2, a3));
    a4 = fold_watched(d, fold_watched(d, a4, a5), fold_watched(d, a6, a7));
    return fold_lanes(d, fold_watched(d, a0, a4));
  }

  static constexpr bool kWatchesNan = requires(D d, V v) { Op::fold_numbers(d, v, v); };

  // At least one vector long.
  static HWY_NOINLINE bool has_nan(const T* x, int64_t n) {
    const D d;
    const int64_t step = static_cast<int64_t>(hn::Lanes(d));
    auto is_nan = hn::IsNaN(load_as(d, x + n - step));
    for (int64_t i = 0; i + step <= n; i += step) {
      is_nan = hn::Or(is_nan, hn::IsNaN(load_as(d, x + i)));
    }
    return !hn::AllFalse(d, is_nan);
  }

  // Where no element is NaN, or the caller looks for NaN itself.
  static HWY_INLINE V fold_watched(D d, V a, V b) {
    if constexpr (kWatchesNan) {
      return Op::fold_numbers(d, a, b);
    } else {
      return Op::fold(d, a, b);
    }
  }

  static HWY_NOINLINE Acc strided_row(const T* x, int64_t n, int64_t stride) {
    const hn::CappedTag<Acc, 1> one;
    using V1 = hn::Vec<hn::CappedTag<Acc, 1>>;
    const V1 none = hn::Set(one, Op::template identity<Acc>());
    V1 a0 = none, a1 = none, a2 = none, a3 = none;
    const auto take = [&](V1& into, const T& from) {
      into = Op::fold(one, into, Op::map(one, hn::Set(one, static_cast<Acc>(from))));
    };
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
      take(a0, x[i * stride]);
      take(a1, x[(i + 1) * stride]);
      take(a2, x[(i + 2) * stride]);
      take(a3, x[(i + 3) * stride]);
    }
    for (; i < n; ++i) take(a0, x[i * stride]);
    return hn::GetLane(Op::fold(one, Op::fold(one, a0, a1), Op::fold(one, a2, a3)));
  }

  template <int kRows, class Load>
  static HWY_INLINE V fold_column(D d, const Load& load, const T* x, int64_t stride) {
    if constexpr (kRows == 1) {
      return Op::map(d, load(x));
    } else {
      return Op::fold(d, fold_column<kRows / 2>(d, load, x, stride),
                      fold_column<kRows / 2>(d, load, x + kRows / 2 * stride, stride));
    }
  }

  // The hardware does not see several rows coming at once: where they follow one another, the next
  // ones are fetched in the order of memory.
  template <int kRows>
  static HWY_NOINLINE void fold_rows(const T* x, int64_t stride, int64_t cols,
                                     Acc* HWY_RESTRICT sums) {
    const D d;
    const T* next = x + kRows * stride;
    for_vectors(d, cols, [&](auto load, auto store) {
      if (stride == cols) {
        for (int k = 0; k < kRows; ++k, next += hn::Lanes(d)) fetch_into_second_cache(next);
      }
      store(Op::fold(d, load(sums), fold_column<kRows>(d, load, x, stride)), sums);
    });
  }

  // Rows into a block of its own, which then joins the total: two levels of sums. Several at a time
  // save loads and stores of the sums.
  static void contiguous_block(const T* x, int64_t rows, int64_t stride, int64_t cols,
                               Acc* planes) {
    HWY_ALIGN Acc sums[kTileCols];
    const D d;
    const V none = hn::Set(d, Op::template identity<Acc>());
    for_vectors(d, cols, [&](auto, auto store) { store(none, sums); });
    int64_t r = 0;
    for (; r + 8 <= rows; r += 8) fold_rows<8>(x + r * stride, stride, cols, sums);
    for (; r + 2 <= rows; r += 2) fold_rows<2>(x + r * stride, stride, cols, sums);
    if (r < rows) fold_rows<1>(x + r * stride, stride, cols, sums);
    for_vectors(d, cols, [&](auto load, auto store) {
      store(Op::fold(d, load(planes), load(sums)), planes);
    });
  }
};

/// Op offers In, Acc, identity(), map(In) and fold(Acc, Acc).
template <class Op, class Finish>
struct LoopReducer {
  using In = typename Op::In;
  using Acc = typename Op::Acc;
  static constexpr int kPlanes = 1;
  static constexpr int64_t kTileCols = 2048;
  static constexpr int64_t kBlockRows = 256;

  Op op;
  Finish finish;  // (const Acc* state, int64_t out)

  void identity(Acc* state) const { *state = op.identity(); }
  void merge(Acc* into, const Acc* from) const { *into = op.fold(*into, *from); }

  HWY_NOINLINE void row(const In* x, int64_t n, int64_t stride, Acc* state) const {
    Acc sum = op.identity();
    if (stride == 1) {
      for (int64_t i = 0; i < n; ++i) sum = op.fold(sum, op.map(x[i]));
    } else {
      for (int64_t i = 0; i < n; ++i) sum = op.fold(sum, op.map(x[i * stride]));
    }
    *state = sum;
  }

  HWY_NOINLINE void block(const In* x, int64_t rows, int64_t row_stride, int64_t cols,
                          int64_t col_stride, Acc* planes, int64_t) const {
    Acc* HWY_RESTRICT sums = planes;
    for (int64_t r = 0; r < rows; ++r) {
      const In* HWY_RESTRICT row = x + r * row_stride;
      if (col_stride == 1) {
        for (int64_t c = 0; c < cols; ++c) sums[c] = op.fold(sums[c], op.map(row[c]));
      } else {
        for (int64_t c = 0; c < cols; ++c) sums[c] = op.fold(sums[c], op.map(row[c * col_stride]));
      }
    }
  }
};

template <class T, class Op, class Finish>
void reduce_vectors(const ReducePlan& plan, const void* input, const Finish& finish) {
  const VectorReducer<T, Op, Finish> reducer{finish};
  run_reduction(plan, input, reducer_of(reducer));
}

template <class Op, class Finish>
void reduce_loops(const ReducePlan& plan, const void* input, const Op& op, const Finish& finish) {
  const LoopReducer<Op, Finish> reducer{op, finish};
  run_reduction(plan, input, reducer_of(reducer));
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
