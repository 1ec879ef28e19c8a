// Largest and smallest elements.

#include "kernels/reduce/extremum.cuh"
#include "kernels/reduce/reduce_cuda.h"
#include "kernels/reduce/reduce_launch_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

template <class T, bool kIsMax>
struct ExtremumReducer {
  using In = T;
  using Value = Compute<T>;
  using State = ExtremumState<T>;
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 4;

  T* output;

  __device__ State identity(Value) const { return worst<State, kIsMax>(); }
  __device__ void add(State& best, Value x, int64_t) const {
    best = better<kIsMax>(best, static_cast<State>(x));
  }
  __device__ State merge(State a, State b) const { return better<kIsMax>(a, b); }
  __device__ void finish(State best, int64_t at) const {
    output[at] = narrow<T>(static_cast<Value>(best));
  }
};

template <class T>
struct MinMaxReducer {
  using In = T;
  using Value = Compute<T>;
  struct State {
    ExtremumState<T> low;
    ExtremumState<T> high;
  };
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 4;

  T* low_output;
  T* high_output;

  __device__ State identity(Value) const {
    return {worst<ExtremumState<T>, false>(), worst<ExtremumState<T>, true>()};
  }
  __device__ void add(State& state, Value x, int64_t) const {
    const ExtremumState<T> value = static_cast<ExtremumState<T>>(x);
    state = {better<false>(state.low, value), better<true>(state.high, value)};
  }
  __device__ State merge(const State& a, const State& b) const {
    return {better<false>(a.low, b.low), better<true>(a.high, b.high)};
  }
  __device__ void finish(const State& state, int64_t at) const {
    low_output[at] = narrow<T>(static_cast<Value>(state.low));
    high_output[at] = narrow<T>(static_cast<Value>(state.high));
  }
};

template <bool kIsMax>
void extremum(const ReduceArgs& args) {
  const char* op = kIsMax ? "amax" : "amin";
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  visit_elements(op, args.input_dtype, [&]<class T>(TypeTag<T>) {
    run_reduction(op, plan, args.input, ExtremumReducer<T, kIsMax>{static_cast<T*>(args.output)});
  });
}

void aminmax(const MinMaxArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  visit_elements("aminmax", args.input_dtype, [&]<class T>(TypeTag<T>) {
    run_reduction("aminmax", plan, args.input,
                  MinMaxReducer<T>{static_cast<T*>(args.output), static_cast<T*>(args.max_output)});
  });
}

}  // namespace

void fill_extremum_launches(ReduceKernels& table) {
  table.amax = extremum<true>;
  table.amin = extremum<false>;
  table.aminmax = aminmax;
}

}  // namespace taut::kernels::cuda
