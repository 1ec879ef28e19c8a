// Vector norms.

#include <cmath>
#include <cuda/std/limits>

#include "kernels/reduce/extremum.cuh"
#include "kernels/reduce/floating_output.cuh"
#include "kernels/reduce/reduce_cuda.h"
#include "kernels/reduce/reduce_launch_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

enum class Norm : uint8_t { count, absolute, euclidean };

// p = 0, 1 and 2. One kernel for all: they are bound by memory.
template <class T>
struct SumNorm {
  using In = T;
  using Value = Compute<T>;
  using State = Value;
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 4;

  FloatingOutput<T> output;
  Norm norm;

  __device__ State identity(Value) const { return Value(0); }
  __device__ void add(State& sum, Value x, int64_t) const {
    const Value weight = norm == Norm::euclidean ? x : x < Value(0) ? Value(-1) : Value(1);
    sum += norm == Norm::count ? (x != Value(0) ? Value(1) : Value(0)) : x * weight;
  }
  __device__ State merge(State a, State b) const { return a + b; }
  __device__ void finish(State sum, int64_t at) const {
    output.write(at, norm == Norm::euclidean ? sqrt(sum) : sum);
  }
};

// p = inf and -inf.
template <class T, bool kIsMax>
struct ExtremeNorm {
  using In = T;
  using Value = Compute<T>;
  using State = Value;
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 4;

  FloatingOutput<T> output;

  __device__ State identity(Value) const {
    return kIsMax ? Value(0) : ::cuda::std::numeric_limits<Value>::infinity();
  }
  __device__ void add(State& best, Value x, int64_t) const { best = better<kIsMax>(best, fabs(x)); }
  __device__ State merge(State a, State b) const { return better<kIsMax>(a, b); }
  __device__ void finish(State best, int64_t at) const { output.write(at, best); }
};

// Any other p goes through pow, in double.
template <class T>
struct PowerNorm {
  using In = T;
  using Value = Compute<T>;
  using State = double;
  static constexpr int kPack = 1;
  static constexpr int kInFlight = 1;

  FloatingOutput<T> output;
  double p;

  __device__ State identity(Value) const { return 0.0; }
  __device__ void add(State& sum, Value x, int64_t) const {
    sum += pow(fabs(static_cast<double>(x)), p);
  }
  __device__ State merge(State a, State b) const { return a + b; }
  __device__ void finish(State sum, int64_t at) const {
    output.write(at, static_cast<Value>(pow(sum, 1.0 / p)));
  }
};

template <class T>
void norm_of(const VectorNormArgs& args, const ReducePlan& plan) {
  constexpr const char* kOp = "vector_norm";
  const FloatingOutput<T> output(args.output, args.input_dtype, args.output_dtype);
  const double p = args.p;
  if (p == 0.0 || p == 1.0 || p == 2.0) {
    const Norm norm = p == 0.0 ? Norm::count : p == 1.0 ? Norm::absolute : Norm::euclidean;
    return run_reduction(kOp, plan, args.input, SumNorm<T>{output, norm});
  }
  if (std::isinf(p)) {
    if (p > 0.0) return run_reduction(kOp, plan, args.input, ExtremeNorm<T, true>{output});
    return run_reduction(kOp, plan, args.input, ExtremeNorm<T, false>{output});
  }
  run_reduction(kOp, plan, args.input, PowerNorm<T>{output, p});
}

void vector_norm(const VectorNormArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  visit_floating("vector_norm", args.input_dtype,
                 [&]<class T>(TypeTag<T>) { norm_of<T>(args, plan); });
}

}  // namespace

void fill_norm_launches(ReduceKernels& table) { table.vector_norm = vector_norm; }

}  // namespace taut::kernels::cuda
