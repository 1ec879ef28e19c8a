#pragma once
// Where the floating results of a reduction go.

#include "kernels/api/cuda_launch.cuh"

namespace taut::kernels::cuda {

/// Elements of T, or of what T is computed in when a 16-bit float is reduced to float32.
template <class T>
struct FloatingOutput {
  void* data;
  bool is_narrow;

  FloatingOutput(void* output, DType input_dtype, DType output_dtype)
      : data(output), is_narrow(input_dtype == output_dtype) {}

  __device__ void write(int64_t at, Compute<T> value) const {
    if (is_narrow) {
      static_cast<T*>(data)[at] = narrow<T>(value);
    } else {
      static_cast<Compute<T>*>(data)[at] = value;
    }
  }
};

}  // namespace taut::kernels::cuda
