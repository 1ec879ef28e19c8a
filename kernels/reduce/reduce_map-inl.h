// The Reducer of everything that maps each element and folds the results with one associative
// operation. VectorReducer works on float or double registers; LoopReducer on plain loops that the
// compiler vectorises, for operations that may be reordered freely (integers, logic).

#if defined(TAUT_KERNELS_REDUCE_REDUCE_MAP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_REDUCE_REDUCE_MAP_INL_H_
#undef TAUT_KERNELS_REDUCE_REDUCE_MAP_INL_H_
#else
#define TAUT_KERNELS_REDUCE_REDUCE_MAP_INL_H_
#endif

#include <hwy/cache_control.h>

#include "kernels/reduce/reduce_typed-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

/// Op offers, over A = compute_t<T> and vectors of it: static identity<A>(), fill<A>() (an element
/// that leaves the result alone), map(d, v), fold(d, a, b).
template <class T, class Op, class Finish>
struct VectorReducer {
  using In = T;
  using Acc = compute_t<T>;
  static constexpr int kPlanes = 1;
  static constexpr int64_t kTileCols = 2048;
  static constexpr int64_t kBlockRows = 256;
  static constexpr int64_t kLongRow = 2048;  // bytes
  static constexpr int64_t kAhead = 2048 / sizeof(T);
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
    const auto take = [&](V& into, const T* from) {
      into = Op::fold(d, into, Op::map(d, load_as(d, from)));
    };
    int64_t i = 0;
    for (; i + 8 * step <= n; i += 8 * step) {
      // A long row comes in leaves, between which the hardware would stop to look ahead.
      for (int64_t k = 0; k < 8; ++k) hwy::Prefetch(x + i + k * step + kAhead);
      take(a0, x + i);
      take(a1, x + i + step);
      take(a2, x + i + 2 * step);
      take(a3, x + i + 3 * step);
      take(a4, x + i + 4 * step);
      take(a5, x + i + 5 * step);
      take(a6, x + i + 6 * step);
      take(a7, x + i + 7 * step);
    }
    for (; i + 2 * step <= n; i += 2 * step) {
      take(a0, x + i);
      take(a1, x + i + step);
    }
    if (i + step <= n) {
      take(a2, x + i);
      i += step;
    }
    if (i < n) {
      a3 = Op::fold(d, a3, Op::map(d, load_first(d, x + i, n - i, Op::template fill<Acc>())));
    }
    a0 = Op::fold(d, Op::fold(d, a0, a1), Op::fold(d, a2, a3));
    a4 = Op::fold(d, Op::fold(d, a4, a5), Op::fold(d, a6, a7));
    return fold_lanes(d, Op::fold(d, a0, a4));
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

  static HWY_NOINLINE void fold_one(const T* row, int64_t cols, Acc* HWY_RESTRICT sums) {
    const D d;
    for_vectors(d, cols, [&](auto load, auto store) {
      store(Op::fold(d, load(sums), Op::map(d, load(row))), sums);
    });
  }

  // The hardware does not see four short rows coming at once: where they follow one another, the
  // next four are fetched in the order of memory.
  static HWY_NOINLINE void fold_four(const T* row, int64_t stride, int64_t cols,
                                     Acc* HWY_RESTRICT sums) {
    const D d;
    const T* next = row + 4 * stride;
    for_vectors(d, cols, [&](auto load, auto store) {
      if (stride == cols) {
        for (int k = 0; k < 4; ++k, next += hn::Lanes(d)) hwy::Prefetch(next);
      }
      const V sum = Op::fold(
          d, Op::fold(d, Op::map(d, load(row)), Op::map(d, load(row + stride))),
          Op::fold(d, Op::map(d, load(row + 2 * stride)), Op::map(d, load(row + 3 * stride))));
      store(Op::fold(d, load(sums), sum), sums);
    });
  }

  // Rows into a block of its own, which then joins the total: two levels of sums. Four at a time
  // save loads and stores of the sums; but long rows that follow one another are best read in the
  // order of memory, which the hardware foresees.
  static void contiguous_block(const T* x, int64_t rows, int64_t stride, int64_t cols,
                               Acc* planes) {
    HWY_ALIGN Acc sums[kTileCols];
    const D d;
    for_vectors(d, cols, [&](auto load, auto store) { store(Op::map(d, load(x)), sums); });
    int64_t r = 1;
    if (stride != cols || cols * static_cast<int64_t>(sizeof(T)) < kLongRow) {
      for (; r + 4 <= rows; r += 4) fold_four(x + r * stride, stride, cols, sums);
    }
    for (; r < rows; ++r) fold_one(x + r * stride, cols, sums);
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
