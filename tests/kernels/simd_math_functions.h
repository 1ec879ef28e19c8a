#pragma once
// The functions of SIMD vectors that simd_math_test.cpp calls by name.

namespace taut::kernels {

// clang-format off
#define TAUT_VECTOR_FUNCTIONS(F)                                            \
  F(exp) F(exp2) F(expm1) F(log) F(log2) F(log10) F(log1p) F(tanh)          \
  F(sigmoid) F(sinh) F(cosh) F(asinh) F(acosh) F(atanh) F(erf) F(erfc)      \
  F(erfinv)
// clang-format on

enum class VectorFunction {
#define TAUT_CASE(name) name,
  TAUT_VECTOR_FUNCTIONS(TAUT_CASE)
#undef TAUT_CASE
};

}  // namespace taut::kernels
