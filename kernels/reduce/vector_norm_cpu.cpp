#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduce/vector_norm_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <limits>

#include "kernels/reduce/reduce_map-inl.h"
#include "kernels/reduce/reduce_parts.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

struct AddFolded {
  template <class A>
  static A identity() {
    return A(0);
  }
  template <class A>
  static A fill() {
    return A(0);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> fold(D, hn::Vec<D> a, hn::Vec<D> b) {
    return hn::Add(a, b);
  }
};

struct SumAbs : AddFolded {
  template <class D>
  static HWY_INLINE hn::Vec<D> map(D, hn::Vec<D> x) {
    return hn::Abs(x);
  }
};

struct SumSquares : AddFolded {
  template <class D>
  static HWY_INLINE hn::Vec<D> map(D, hn::Vec<D> x) {
    return hn::Mul(x, x);
  }
};

struct SumNonzero : AddFolded {
  template <class D>
  static HWY_INLINE hn::Vec<D> map(D d, hn::Vec<D> x) {
    return hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Zero(d), hn::Set(d, LaneOf<D>(1)));
  }
};

// A NaN among x is taken, one in the accumulator compares false and stays.
template <bool kIsMax>
struct ExtremeAbs {
  template <class A>
  static A identity() {
    return kIsMax ? A(0) : std::numeric_limits<A>::infinity();
  }
  template <class A>
  static A fill() {
    return identity<A>();
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> map(D, hn::Vec<D> x) {
    return hn::Abs(x);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> fold(D, hn::Vec<D> accumulator, hn::Vec<D> x) {
    const auto is_better = kIsMax ? hn::Gt(x, accumulator) : hn::Lt(x, accumulator);
    return hn::IfThenElse(hn::Or(is_better, hn::IsNaN(x)), x, accumulator);
  }
};

// Any other p goes through pow, in double.
template <class T>
struct SumPowers {
  using In = T;
  using Acc = double;
  double p;
  double identity() const { return 0.0; }
  double map(T x) const { return std::pow(std::fabs(static_cast<double>(x)), p); }
  double fold(double a, double b) const { return a + b; }
};

template <class T>
void vector_norm_of(const VectorNormArgs& args, const ReducePlan& plan) {
  using A = compute_t<T>;
  const bool is_same = args.output_dtype == args.input_dtype;
  void* out = args.output;
  const double p = args.p;
  const auto store = [=](A value, int64_t i) {
    if (is_same) {
      static_cast<T*>(out)[i] = static_cast<T>(value);
    } else {
      static_cast<A*>(out)[i] = value;
    }
  };
  const auto finish = [=](const A* state, int64_t i) {
    store(p == 2.0 ? std::sqrt(*state) : *state, i);
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (p == 0.0) return reduce_vectors<T, SumNonzero>(plan, args.input, finish);
  if (p == 1.0) return reduce_vectors<T, SumAbs>(plan, args.input, finish);
  if (p == 2.0) return reduce_vectors<T, SumSquares>(plan, args.input, finish);
  if (p == kInfinity) return reduce_vectors<T, ExtremeAbs<true>>(plan, args.input, finish);
  if (p == -kInfinity) return reduce_vectors<T, ExtremeAbs<false>>(plan, args.input, finish);
  reduce_loops(plan, args.input, SumPowers<T>{p}, [=](const double* state, int64_t i) {
    store(static_cast<A>(std::pow(*state, 1.0 / p)), i);
  });
}

void vector_norm(const VectorNormArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  visit_dtype(Floating{}, args.input_dtype, "vector_norm",
              [&]<class T>(Tag<T>) { vector_norm_of<T>(args, plan); });
}

void fill_norm(ReduceKernels& table) { table.vector_norm = vector_norm; }

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_norm);
void fill_norm_kernels(ReduceKernels& table) { HWY_DYNAMIC_DISPATCH(fill_norm)(table); }

}  // namespace taut::kernels
#endif
