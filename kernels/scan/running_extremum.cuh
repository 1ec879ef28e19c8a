#pragma once
// Running extrema with their indices.

#include "kernels/scan/scan_launch_cuda.cuh"

namespace taut::kernels::cuda {

template <class T, bool kIsMax>
struct RunningExtremum {
  using Value = std::conditional_t<std::is_integral_v<T> && sizeof(T) < 4, int32_t, Compute<T>>;
  // Packed, so that there is no padding to copy.
  struct __attribute__((packed, aligned(4))) State {
    Value value;
    int64_t index;  // -1: nothing yet
  };

  const T* input;
  T* values;
  int64_t* indices;

  __device__ State identity() const { return {Value(0), -1}; }
  __device__ State load(int64_t at, int64_t k) const {
    return {static_cast<Value>(widen(input[at])), k};
  }
  // The last of equal ones, and the last NaN from the first NaN on.
  __device__ State combine(const State& a, const State& b) const {
    if (a.index < 0) return b;
    if (b.index < 0) return a;
    const Value before = a.value, value = b.value;
    return (kIsMax ? value >= before : value <= before) || value != value ? b : a;
  }
  __device__ void store(int64_t at, const State& state) const {
    const Value value = state.value;
    values[at] = narrow<T>(static_cast<Compute<T>>(value));
    indices[at] = state.index;
  }
};

template <bool kIsMax>
void scan_extrema(const char* op, const IndexScanArgs& args) {
  visit_scanned(op, args.dtype, [&]<class T>(TypeTag<T>) {
    run_scan(op, args,
             RunningExtremum<T, kIsMax>{static_cast<const T*>(args.input),
                                        static_cast<T*>(args.values), args.indices});
  });
}

}  // namespace taut::kernels::cuda
