// Sums and means.

#include "kernels/reduce/floating_output.cuh"
#include "kernels/reduce/reduce_cuda.h"
#include "kernels/reduce/reduce_launch_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

template <class T>
struct FloatingSum {
  using In = T;
  using Value = Compute<T>;
  using State = Value;
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 4;

  FloatingOutput<T> output;
  Value divisor;

  __device__ State identity(Value) const { return Value(0); }
  __device__ void add(State& sum, Value x, int64_t) const { sum += x; }
  __device__ State merge(State a, State b) const { return a + b; }
  __device__ void finish(State sum, int64_t at) const { output.write(at, sum / divisor); }
};

// Wraps around, as unsigned arithmetic defines it.
template <class T>
struct IntegerSum {
  using In = T;
  using Value = T;
  using State = uint64_t;
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 4;

  int64_t* output;

  __device__ State identity(Value) const { return 0; }
  __device__ void add(State& sum, Value x, int64_t) const {
    sum += static_cast<uint64_t>(static_cast<int64_t>(x));
  }
  __device__ State merge(State a, State b) const { return a + b; }
  __device__ void finish(State sum, int64_t at) const { output[at] = static_cast<int64_t>(sum); }
};

void sum_floating(const char* op, const ReduceArgs& args, const ReducePlan& plan, double divisor) {
  visit_floating(op, args.input_dtype, [&]<class T>(TypeTag<T>) {
    const FloatingOutput<T> output(args.output, args.input_dtype, args.output_dtype);
    run_reduction(op, plan, args.input, FloatingSum<T>{output, static_cast<Compute<T>>(divisor)});
  });
}

void sum(const ReduceArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  if (is_floating_point(args.input_dtype)) return sum_floating("sum", args, plan, 1.0);
  visit_integers("sum", args.input_dtype, [&]<class T>(TypeTag<T>) {
    run_reduction("sum", plan, args.input, IntegerSum<T>{static_cast<int64_t*>(args.output)});
  });
}

void mean(const ReduceArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  sum_floating("mean", args, plan, static_cast<double>(plan.count));
}

}  // namespace

void fill_sum_launches(ReduceKernels& table) {
  table.sum = sum;
  table.mean = mean;
}

}  // namespace taut::kernels::cuda
