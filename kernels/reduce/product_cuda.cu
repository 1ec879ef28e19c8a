// Products.

#include "kernels/reduce/floating_output.cuh"
#include "kernels/reduce/reduce_cuda.h"
#include "kernels/reduce/reduce_launch_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

template <class T>
struct FloatingProduct {
  using In = T;
  using Value = Compute<T>;
  using State = Value;
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 4;

  FloatingOutput<T> output;

  __device__ State identity(Value) const { return Value(1); }
  __device__ void add(State& product, Value x, int64_t) const { product *= x; }
  __device__ State merge(State a, State b) const { return a * b; }
  __device__ void finish(State product, int64_t at) const { output.write(at, product); }
};

// Wraps around, as unsigned arithmetic defines it.
template <class T>
struct IntegerProduct {
  using In = T;
  using Value = T;
  using State = uint64_t;
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 4;

  int64_t* output;

  __device__ State identity(Value) const { return 1; }
  __device__ void add(State& product, Value x, int64_t) const {
    product *= static_cast<uint64_t>(static_cast<int64_t>(x));
  }
  __device__ State merge(State a, State b) const { return a * b; }
  __device__ void finish(State product, int64_t at) const {
    output[at] = static_cast<int64_t>(product);
  }
};

void prod(const ReduceArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  if (is_floating_point(args.input_dtype)) {
    visit_floating("prod", args.input_dtype, [&]<class T>(TypeTag<T>) {
      const FloatingOutput<T> output(args.output, args.input_dtype, args.output_dtype);
      run_reduction("prod", plan, args.input, FloatingProduct<T>{output});
    });
    return;
  }
  visit_integers("prod", args.input_dtype, [&]<class T>(TypeTag<T>) {
    run_reduction("prod", plan, args.input, IntegerProduct<T>{static_cast<int64_t*>(args.output)});
  });
}

}  // namespace

void fill_product_launches(ReduceKernels& table) { table.prod = prod; }

}  // namespace taut::kernels::cuda
