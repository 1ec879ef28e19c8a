#pragma once
// The functions of SIMD vectors that simd_math_test.cpp calls by name.

namespace taut::kernels {

#define TAUT_VECTOR_FUNCTIONS(TAUT_CASE)                                                \
  TAUT_CASE(exp)                                                                        \
  TAUT_CASE(exp2)                                                                       \
  TAUT_CASE(expm1)                                                                      \
  TAUT_CASE(log)                                                                        \
  TAUT_CASE(log2)                                                                       \
  TAUT_CASE(log10)                                                                      \
  TAUT_CASE(log1p) TAUT_CASE(tanh) TAUT_CASE(sigmoid) TAUT_CASE(sinh) TAUT_CASE(cosh)   \
      TAUT_CASE(asinh) TAUT_CASE(acosh) TAUT_CASE(atanh) TAUT_CASE(erf) TAUT_CASE(erfc) \
          TAUT_CASE(erfinv)

enum class VectorFunction {
#define TAUT_CASE(name) name,
  TAUT_VECTOR_FUNCTIONS(TAUT_CASE)
#undef TAUT_CASE
};

}  // namespace taut::kernels
