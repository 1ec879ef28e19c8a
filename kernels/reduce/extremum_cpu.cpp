#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduce/extremum_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <limits>

#include "kernels/reduce/reduce_map-inl.h"
#include "kernels/reduce/reduce_parts.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// A NaN among x is taken, one in the accumulator compares false and stays.
template <bool kIsMax>
struct Extremum {
  template <class A>
  static A identity() {
    return kIsMax ? -std::numeric_limits<A>::infinity() : std::numeric_limits<A>::infinity();
  }
  template <class A>
  static A fill() {
    return identity<A>();
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> map(D, hn::Vec<D> x) {
    return x;
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> fold(D, hn::Vec<D> accumulator, hn::Vec<D> x) {
    const auto is_better = kIsMax ? hn::Gt(x, accumulator) : hn::Lt(x, accumulator);
    return hn::IfThenElse(hn::Or(is_better, hn::IsNaN(x)), x, accumulator);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> fold_numbers(D, hn::Vec<D> accumulator, hn::Vec<D> x) {
    return kIsMax ? hn::Max(accumulator, x) : hn::Min(accumulator, x);
  }
};

template <class T, bool kIsMax>
struct IntegerExtremum {
  using In = T;
  using Acc = T;
  static T identity() {
    return kIsMax ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
  }
  static T map(T x) { return x; }
  static T fold(T a, T b) { return (kIsMax ? b > a : b < a) ? b : a; }
};

template <bool kIsMax>
void extremum(const ReduceArgs& args, const ReducePlan& plan, void* output) {
  const DType dtype = args.input_dtype == kBool ? kUInt8 : args.input_dtype;
  visit_dtype(Arithmetic{}, dtype, kIsMax ? "amax" : "amin", [&]<class T>(Tag<T>) {
    T* out = static_cast<T*>(output);
    const auto finish = [out](const auto* state, int64_t i) { out[i] = static_cast<T>(*state); };
    if constexpr (is_floating_point(dtype_of<T>)) {
      reduce_vectors<T, Extremum<kIsMax>>(plan, args.input, finish);
    } else {
      reduce_loops(plan, args.input, IntegerExtremum<T, kIsMax>{}, finish);
    }
  });
}

void amax(const ReduceArgs& args) {
  extremum<true>(args, plan_reduction(args.shape, args.strides, args.reduced_dims), args.output);
}

void amin(const ReduceArgs& args) {
  extremum<false>(args, plan_reduction(args.shape, args.strides, args.reduced_dims), args.output);
}

// The two planes are the minimum and the maximum.
template <class T, class Finish>
struct MinMaxReducer {
  using In = T;
  using Acc = compute_t<T>;
  static constexpr int kPlanes = 2;
  static constexpr int64_t kTileCols = 1024;
  static constexpr int64_t kBlockRows = 64;

  VectorReducer<T, Extremum<false>, Finish> min;
  VectorReducer<T, Extremum<true>, Finish> max;
  Finish finish;

  void identity(Acc* state) const {
    min.identity(state);
    max.identity(state + 1);
  }
  void merge(Acc* into, const Acc* from) const {
    min.merge(into, from);
    max.merge(into + 1, from + 1);
  }
  // The second pass finds the leaf in the first-level cache.
  void row(const T* x, int64_t n, int64_t stride, Acc* state) const {
    min.row(x, n, stride, state);
    max.row(x, n, stride, state + 1);
  }
  void block(const T* x, int64_t rows, int64_t row_stride, int64_t cols, int64_t col_stride,
             Acc* states, int64_t width) const {
    for (int64_t r = 0; r < rows; r += 4) {  // few rows, so that they stay in the cache
      const int64_t some = rows - r < 4 ? rows - r : 4;
      min.block(x + r * row_stride, some, row_stride, cols, col_stride, states, width);
      max.block(x + r * row_stride, some, row_stride, cols, col_stride, states + width, width);
    }
  }
};

void aminmax(const MinMaxArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  if (!is_floating_point(args.input_dtype)) {
    extremum<false>(args, plan, args.output);
    extremum<true>(args, plan, args.max_output);
    return;
  }
  visit_dtype(Floating{}, args.input_dtype, "aminmax", [&]<class T>(Tag<T>) {
    T* out_min = static_cast<T*>(args.output);
    T* out_max = static_cast<T*>(args.max_output);
    const auto finish = [=](const compute_t<T>* state, int64_t i) {
      out_min[i] = static_cast<T>(state[0]);
      out_max[i] = static_cast<T>(state[1]);
    };
    const MinMaxReducer<T, decltype(finish)> reducer{{finish}, {finish}, finish};
    run_reduction(plan, args.input, reducer_of(reducer));
  });
}

void fill_extremum(ReduceKernels& table) {
  table.amax = amax;
  table.amin = amin;
  table.aminmax = aminmax;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_extremum);
void fill_extremum_kernels(ReduceKernels& table) { HWY_DYNAMIC_DISPATCH(fill_extremum)(table); }

}  // namespace taut::kernels
#endif
