#pragma once
// Runs of 16-bit floats to float and back, vectorised, for kernels that compute in float.

#include <cstdint>

#include "taut/base/macros.h"
#include "taut/core/half.h"

namespace taut::kernels {

struct HalfRowKernels {
  void (*widen_f16)(const Float16* from, float* to, int64_t n) = nullptr;
  void (*widen_bf16)(const BFloat16* from, float* to, int64_t n) = nullptr;
  void (*narrow_f16)(const float* from, Float16* to, int64_t n) = nullptr;
  void (*narrow_bf16)(const float* from, BFloat16* to, int64_t n) = nullptr;
};

TAUT_API const HalfRowKernels& half_row_kernels_cpu();

inline void widen_row(const Float16* from, float* to, int64_t n) {
  half_row_kernels_cpu().widen_f16(from, to, n);
}
inline void widen_row(const BFloat16* from, float* to, int64_t n) {
  half_row_kernels_cpu().widen_bf16(from, to, n);
}
inline void narrow_row(const float* from, Float16* to, int64_t n) {
  half_row_kernels_cpu().narrow_f16(from, to, n);
}
inline void narrow_row(const float* from, BFloat16* to, int64_t n) {
  half_row_kernels_cpu().narrow_bf16(from, to, n);
}

}  // namespace taut::kernels
