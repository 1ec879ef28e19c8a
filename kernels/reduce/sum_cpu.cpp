#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduce/sum_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/reduce/reduce_map-inl.h"
#include "kernels/reduce/reduce_parts.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

struct Sum {
  template <class A>
  static A identity() {
    return A(0);
  }
  template <class A>
  static A fill() {
    return A(0);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> map(D, hn::Vec<D> x) {
    return x;
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> fold(D, hn::Vec<D> a, hn::Vec<D> b) {
    return hn::Add(a, b);
  }
};

struct Product {
  template <class A>
  static A identity() {
    return A(1);
  }
  template <class A>
  static A fill() {
    return A(1);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> map(D, hn::Vec<D> x) {
    return x;
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> fold(D, hn::Vec<D> a, hn::Vec<D> b) {
    return hn::Mul(a, b);
  }
};

// Integers wrap around, as unsigned arithmetic defines it.
template <class T>
struct IntegerSum {
  using In = T;
  using Acc = int64_t;
  static int64_t identity() { return 0; }
  static int64_t map(T x) { return static_cast<int64_t>(x); }
  static int64_t fold(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};

template <class T>
struct IntegerProduct {
  using In = T;
  using Acc = int64_t;
  static int64_t identity() { return 1; }
  static int64_t map(T x) { return static_cast<int64_t>(x); }
  static int64_t fold(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};

// The result is divided by `divisor`: 1 for sum and prod.
template <class Op>
void reduce_floating(const ReduceArgs& args, const ReducePlan& plan, double divisor,
                     const char* name) {
  visit_dtype(Floating{}, args.input_dtype, name, [&]<class T>(Tag<T>) {
    using A = compute_t<T>;
    const A by = static_cast<A>(divisor);
    const bool is_same = args.output_dtype == args.input_dtype;
    void* out = args.output;
    reduce_vectors<T, Op>(plan, args.input, [=](const A* state, int64_t i) {
      const A result = *state / by;
      if (is_same) {
        static_cast<T*>(out)[i] = static_cast<T>(result);
      } else {
        static_cast<A*>(out)[i] = result;
      }
    });
  });
}

template <template <class> class Op>
void reduce_integers(const ReduceArgs& args, const ReducePlan& plan, const char* name) {
  const DType dtype = args.input_dtype == kBool ? kUInt8 : args.input_dtype;
  visit_dtype(Integral{}, dtype, name, [&]<class T>(Tag<T>) {
    int64_t* out = static_cast<int64_t*>(args.output);
    reduce_loops(plan, args.input, Op<T>{},
                 [=](const int64_t* state, int64_t i) { out[i] = *state; });
  });
}

void sum(const ReduceArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  if (is_floating_point(args.input_dtype)) return reduce_floating<Sum>(args, plan, 1.0, "sum");
  reduce_integers<IntegerSum>(args, plan, "sum");
}

void prod(const ReduceArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  if (is_floating_point(args.input_dtype)) return reduce_floating<Product>(args, plan, 1.0, "prod");
  reduce_integers<IntegerProduct>(args, plan, "prod");
}

void mean(const ReduceArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  reduce_floating<Sum>(args, plan, static_cast<double>(plan.count), "mean");
}

void fill_sum(ReduceKernels& table) {
  table.sum = sum;
  table.prod = prod;
  table.mean = mean;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_sum);
void fill_sum_kernels(ReduceKernels& table) { HWY_DYNAMIC_DISPATCH(fill_sum)(table); }

}  // namespace taut::kernels
#endif
