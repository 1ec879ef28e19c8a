#pragma once
// The mathematics that functors call on float, double and integers. SIMD vectors and tensors bring
// their own overloads, which argument-dependent look-up finds.

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "taut/base/macros.h"

namespace taut::kernels {

using std::acos;
using std::acosh;
using std::asin;
using std::asinh;
using std::atan;
using std::atan2;
using std::atanh;
using std::ceil;
using std::copysign;
using std::cos;
using std::cosh;
using std::erf;
using std::erfc;
using std::exp;
using std::exp2;
using std::expm1;
using std::floor;
using std::hypot;
using std::log;
using std::log10;
using std::log1p;
using std::log2;
using std::sin;
using std::sinh;
using std::sqrt;
using std::tan;
using std::tanh;
using std::trunc;

template <class T>
TAUT_HD inline T where(bool condition, T yes, T no) {
  return condition ? yes : no;
}
template <class T>
  requires std::is_arithmetic_v<T>
TAUT_HD inline bool isnan(T x) {
  return x != x;
}
template <class T>
  requires std::is_arithmetic_v<T>
TAUT_HD inline T abs(T x) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::fabs(x);
  } else if constexpr (std::is_unsigned_v<T>) {
    return x;
  } else {
    return x < 0 ? static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(x)) : x;
  }
}
/// The nearest integer, ties to even.
TAUT_HD inline float round_to_even(float x) { return std::nearbyint(x); }
TAUT_HD inline double round_to_even(double x) { return std::nearbyint(x); }
template <class T>
  requires std::is_floating_point_v<T>
TAUT_HD inline T rsqrt(T x) {
  return T(1) / sqrt(x);
}
/// a b + c, rounded once or twice as the machine has it.
template <class T>
  requires std::is_floating_point_v<T>
TAUT_HD inline T multiply_add(T a, T b, T c) {
  return a * b + c;
}
/// 1 / (1 + e^-x) without overflow.
template <class T>
  requires std::is_floating_point_v<T>
TAUT_HD inline T sigmoid(T x) {
  return T(1) / (T(1) + exp(-x));
}
/// The larger of two; NaN if either is NaN.
template <class T>
  requires std::is_arithmetic_v<T>
TAUT_HD inline T maximum(T a, T b) {
  return (a > b || isnan(a)) ? a : b;
}
template <class T>
  requires std::is_arithmetic_v<T>
TAUT_HD inline T minimum(T a, T b) {
  return (a < b || isnan(a)) ? a : b;
}

}  // namespace taut::kernels
