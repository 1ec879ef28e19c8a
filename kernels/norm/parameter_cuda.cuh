#pragma once
// Weights and biases of norms: in the dtype of the input or in its compute dtype.

#include "kernels/api/packs.cuh"

namespace taut::kernels::cuda {

/// A list of parameters; what is missing reads as one value.
template <class T>
struct Parameter {
  const void* data;
  bool is_narrow;  // of T, else of Compute<T>

  Parameter(const void* given, DType dtype)
      : data(given), is_narrow(is_reduced_floating_point(dtype)) {}

  __device__ Compute<T> at(int64_t i, Compute<T> missing) const {
    if (data == nullptr) return missing;
    return is_narrow ? widen(static_cast<const T*>(data)[i])
                     : static_cast<const Compute<T>*>(data)[i];
  }

  /// kCount of them from i on, aligned when kCount > 1.
  template <int kCount>
  __device__ void load(int64_t i, Compute<T> missing, Compute<T> (&values)[kCount]) const {
    Run<kCount> run;
    load_run(i, run);
    widen_run(run, missing, values);
  }

  /// The same in two steps, so that several loads are under way before one is waited for: first as
  /// they lie in memory. What is narrow takes the first half of the words.
  template <int kCount>
  struct Run {
    Compute<T> words[kCount];
  };
  template <int kCount>
  __device__ void load_run(int64_t i, Run<kCount>& run) const {
    if (data == nullptr) return;
    if (is_narrow) {
      const Pack<T, kCount> narrow = load_pack<kCount>(static_cast<const T*>(data) + i);
      memcpy(&run, &narrow, sizeof(narrow));
    } else {
      const auto wide = load_pack<kCount>(static_cast<const Compute<T>*>(data) + i);
      memcpy(&run, &wide, sizeof(wide));
    }
  }
  template <int kCount>
  __device__ void widen_run(const Run<kCount>& run, Compute<T> missing,
                            Compute<T> (&values)[kCount]) const {
    if (data == nullptr) {
#pragma unroll
      for (int e = 0; e < kCount; ++e) values[e] = missing;
    } else if (is_narrow) {
      Pack<T, kCount> narrow;
      memcpy(&narrow, &run, sizeof(narrow));
      widen_words<T>(narrow, values);
    } else {
      widen_words<Compute<T>>(run, values);
    }
  }
};

/// Where results of the dtype of parameters go; nowhere when null.
template <class T>
struct ParameterOut {
  void* data;
  bool is_narrow;

  ParameterOut(void* given, DType dtype)
      : data(given), is_narrow(is_reduced_floating_point(dtype)) {}

  __device__ Compute<T> at(int64_t i) const {
    return is_narrow ? widen(static_cast<const T*>(data)[i])
                     : static_cast<const Compute<T>*>(data)[i];
  }
  __device__ void set(int64_t i, Compute<T> value) const {
    if (data == nullptr) return;
    if (is_narrow) {
      static_cast<T*>(data)[i] = narrow<T>(value);
    } else {
      static_cast<Compute<T>*>(data)[i] = value;
    }
  }
};

}  // namespace taut::kernels::cuda
