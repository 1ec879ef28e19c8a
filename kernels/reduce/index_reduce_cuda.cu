// Extrema with their indices.

#include "kernels/reduce/extremum.cuh"
#include "kernels/reduce/reduce_cuda.h"
#include "kernels/reduce/reduce_launch_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

template <class T, bool kIsMax>
struct IndexReducer {
  using In = T;
  using Value = Compute<T>;
  // Packed, so that there is no padding to copy.
  struct __attribute__((packed, aligned(4))) State {
    ExtremumState<T> value;
    int64_t index;  // -1: nothing yet
  };
  static constexpr int kPack = 8;
  static constexpr int kInFlight = 4;

  T* values;
  int64_t* indices;

  __device__ State identity(Value) const { return {worst<ExtremumState<T>, kIsMax>(), -1}; }

  __device__ void add(State& best, Value x, int64_t i) const {
    const ExtremumState<T> value = static_cast<ExtremumState<T>>(x);
    if (best.index < 0 || beats(value, best.value)) best = {value, i};
  }

  // Of equals the one that stands first, whatever order the states come in.
  __device__ State merge(const State& a, const State& b) const {
    if (b.index < 0) return a;
    if (a.index < 0 || beats(b.value, a.value)) return b;
    if (beats(a.value, b.value)) return a;
    return a.index < b.index ? a : b;
  }

  __device__ void finish(const State& best, int64_t at) const {
    if (values != nullptr) values[at] = narrow<T>(static_cast<Value>(best.value));
    if (indices != nullptr) indices[at] = best.index;
  }

 private:
  // A NaN beats every number, not another NaN.
  __device__ static bool beats(ExtremumState<T> x, ExtremumState<T> best) {
    return (kIsMax ? x > best : x < best) || (x != x && best == best);
  }
};

// All dims, merged where they lie end to end but not reordered: the index counts in their order.
ReducePlan plan_over_all(const IndexReduceArgs& args) {
  ReducePlan plan;
  for (int d = 0; d < args.shape.rank(); ++d) {
    plan.count *= args.shape[d];
    if (args.shape[d] == 1) continue;
    Dims& shape = plan.reduced_shape;
    Dims& strides = plan.reduced_strides;
    if (!shape.empty() && strides.back() == args.shape[d] * args.strides[d]) {
      shape.back() *= args.shape[d];
      strides.back() = args.strides[d];
    } else {
      shape.push_back(args.shape[d]);
      strides.push_back(args.strides[d]);
    }
  }
  return plan;
}

template <bool kIsMax>
void index_reduce(const IndexReduceArgs& args) {
  const char* op = kIsMax ? "max" : "min";
  const ReducePlan plan = args.dim < 0 ? plan_over_all(args)
                                       : plan_reduction(args.shape, args.strides, 1u << args.dim,
                                                        /*keeps_direction=*/true);
  visit_elements(op, args.dtype, [&]<class T>(TypeTag<T>) {
    run_reduction(op, plan, args.input,
                  IndexReducer<T, kIsMax>{static_cast<T*>(args.values), args.indices});
  });
}

}  // namespace

void fill_index_launches(ReduceKernels& table) {
  table.max = index_reduce<true>;
  table.min = index_reduce<false>;
}

}  // namespace taut::kernels::cuda
