#include "kernels/api/log_sum_exp.cuh"
#include "kernels/scan/running_value.cuh"
#include "kernels/scan/scan_cuda.h"

namespace taut::kernels::cuda {
namespace {

struct Multiply {
  template <class A>
  __device__ static A identity() {
    return A(1);
  }
  template <class A>
  __device__ static A combine(A a, A b) {
    return a * b;
  }
};

template <class T>
struct RunningLogSumExp {
  using State = LogSumExp<Compute<T>>;

  const T* input;
  T* output;

  __device__ State identity() const { return State::nothing(); }
  __device__ State load(int64_t at, int64_t) const { return State::of(widen(input[at])); }
  __device__ State combine(const State& a, const State& b) const { return a.merged(b); }
  __device__ void store(int64_t at, const State& state) const {
    output[at] = narrow<T>(state.value());
  }
};

}  // namespace

void cumprod(const ScanArgs& args) { scan_values<Multiply>("cumprod", args); }

void logcumsumexp(const ScanArgs& args) {
  visit_floating("logcumsumexp", args.input_dtype, [&]<class T>(TypeTag<T>) {
    run_scan("logcumsumexp", args,
             RunningLogSumExp<T>{static_cast<const T*>(args.input), static_cast<T*>(args.output)});
  });
}

}  // namespace taut::kernels::cuda
