// Variance, standard deviation and logsumexp.

#include "kernels/api/log_sum_exp.cuh"
#include "kernels/reduce/floating_output.cuh"
#include "kernels/reduce/reduce_cuda.h"
#include "kernels/reduce/reduce_launch_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

// Sums of x - origin and (x - origin)^2 in double, where the origin is the slice's first element:
// being one of the elements it lies at most sqrt(n) standard deviations from the mean, so that
// sum((x - mean)^2) = squares - sum^2 / n loses at most log2(n) of double's 53 bits (Chan, Golub
// and LeVeque, "Algorithms for computing the sample variance", 1983).
template <class T>
struct MomentReducer {
  using In = T;
  using Value = Compute<T>;
  struct State {
    double origin;
    double sum;
    double squares;
  };
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 3;  // a fourth would not fit the registers

  FloatingOutput<T> output;
  FloatingOutput<T> mean_output;
  double count;
  double freedom;
  bool is_std;

  __device__ State identity(Value first) const {
    const double origin = static_cast<double>(first);
    return {isfinite(origin) ? origin : 0.0, 0.0, 0.0};
  }
  __device__ void add(State& state, Value x, int64_t) const {
    const double delta = static_cast<double>(x) - state.origin;
    state.sum += delta;
    state.squares += delta * delta;
  }
  __device__ State merge(const State& a, const State& b) const {
    return {a.origin, a.sum + b.sum, a.squares + b.squares};
  }
  __device__ void finish(const State& state, int64_t at) const {
    const double shift = state.sum / count;
    const double rest = state.squares - state.sum * shift;
    const double variance = (rest < 0.0 ? 0.0 : rest) / freedom;
    output.write(at, static_cast<Value>(is_std ? sqrt(variance) : variance));
    if (mean_output.data != nullptr) {
      mean_output.write(at, static_cast<Value>(state.origin + shift));
    }
  }
};

template <class T>
struct LogSumExpReducer {
  using In = T;
  using Value = Compute<T>;
  using State = LogSumExp<Value>;
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 2;

  T* output;

  __device__ State identity(Value) const { return State::nothing(); }
  __device__ void add(State& state, Value x, int64_t) const { state.add(x); }
  __device__ State merge(const State& a, const State& b) const { return a.merged(b); }
  __device__ void finish(const State& state, int64_t at) const {
    output[at] = narrow<T>(state.value());
  }
};

void var(const MomentArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  const double count = static_cast<double>(plan.count);
  const double freedom = count > args.correction ? count - args.correction : 0.0;
  visit_floating("var", args.input_dtype, [&]<class T>(TypeTag<T>) {
    const FloatingOutput<T> output(args.output, args.input_dtype, args.output_dtype);
    const FloatingOutput<T> mean_output(args.mean_output, args.input_dtype, args.output_dtype);
    run_reduction("var", plan, args.input,
                  MomentReducer<T>{output, mean_output, count, freedom, args.is_std});
  });
}

void logsumexp(const ReduceArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  visit_floating("logsumexp", args.input_dtype, [&]<class T>(TypeTag<T>) {
    run_reduction("logsumexp", plan, args.input, LogSumExpReducer<T>{static_cast<T*>(args.output)});
  });
}

}  // namespace

void fill_moment_launches(ReduceKernels& table) {
  table.var = var;
  table.logsumexp = logsumexp;
}

}  // namespace taut::kernels::cuda
