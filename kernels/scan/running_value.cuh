#pragma once
// Running sums and products, which differ in how two values combine.

#include "kernels/scan/scan_launch_cuda.cuh"

namespace taut::kernels::cuda {

/// What a running value of T is held in; integers wrap around, as unsigned arithmetic defines it.
template <class T>
using RunningState = std::conditional_t<std::is_integral_v<T>, uint64_t, Compute<T>>;

/// Op has identity() and combine(a, b).
template <class T, class Op>
struct RunningValue {
  using State = RunningState<T>;
  using Out = std::conditional_t<std::is_integral_v<T>, int64_t, T>;

  const T* input;
  Out* output;

  __device__ State identity() const { return Op::template identity<State>(); }
  __device__ State load(int64_t at, int64_t) const {
    if constexpr (std::is_integral_v<T>) {
      return static_cast<State>(static_cast<int64_t>(input[at]));
    } else {
      return widen(input[at]);
    }
  }
  __device__ State combine(State a, State b) const { return Op::combine(a, b); }
  __device__ void store(int64_t at, State state) const {
    if constexpr (std::is_integral_v<T>) {
      output[at] = static_cast<int64_t>(state);
    } else {
      output[at] = narrow<T>(state);
    }
  }
};

template <class Op>
void scan_values(const char* op, const ScanArgs& args) {
  visit_scanned(op, args.input_dtype, [&]<class T>(TypeTag<T>) {
    using Scanner = RunningValue<T, Op>;
    run_scan(op, args,
             Scanner{static_cast<const T*>(args.input),
                     static_cast<typename Scanner::Out*>(args.output)});
  });
}

}  // namespace taut::kernels::cuda
