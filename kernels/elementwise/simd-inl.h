// The number type that functors see in CPU kernels: a SIMD vector of float or double with the
// operators and the mathematics of a number. One definition for each instruction set; see
// Note [One build, three instruction sets].
//
// Highway's contrib/math is fast on ordinary arguments and wrong outside its range; what is taken
// from there is mended here. The functions that a network spends its time in are our own:
// kernels/api/simd_exp-inl.h and its neighbours.

#if defined(TAUT_KERNELS_ELEMENTWISE_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_ELEMENTWISE_SIMD_INL_H
#undef TAUT_KERNELS_ELEMENTWISE_SIMD_INL_H
#else
#define TAUT_KERNELS_ELEMENTWISE_SIMD_INL_H
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cmath>

#include "kernels/api/simd_erf-inl.h"
#include "kernels/api/simd_exp-inl.h"
#include "kernels/api/simd_hyperbolic-inl.h"
#include "kernels/api/simd_log-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
struct SimdMask {
  using D = hn::ScalableTag<T>;
  hn::Mask<D> m;
  friend HWY_INLINE SimdMask operator&(SimdMask a, SimdMask b) { return {hn::And(a.m, b.m)}; }
  friend HWY_INLINE SimdMask operator|(SimdMask a, SimdMask b) { return {hn::Or(a.m, b.m)}; }
};

template <class T>
struct Simd {
  using D = hn::ScalableTag<T>;
  using Mask = SimdMask<T>;
  hn::Vec<D> v;

  Simd() = default;
  HWY_INLINE Simd(hn::Vec<D> vector) : v(vector) {}
  HWY_INLINE explicit Simd(double value) : v(hn::Set(D(), static_cast<T>(value))) {}

  friend HWY_INLINE Simd operator+(Simd a, Simd b) { return hn::Add(a.v, b.v); }
  friend HWY_INLINE Simd operator-(Simd a, Simd b) { return hn::Sub(a.v, b.v); }
  friend HWY_INLINE Simd operator*(Simd a, Simd b) { return hn::Mul(a.v, b.v); }
  friend HWY_INLINE Simd operator/(Simd a, Simd b) { return hn::Div(a.v, b.v); }
  friend HWY_INLINE Simd operator-(Simd a) { return hn::Neg(a.v); }
  friend HWY_INLINE Mask operator>(Simd a, Simd b) { return {hn::Gt(a.v, b.v)}; }
  friend HWY_INLINE Mask operator<(Simd a, Simd b) { return {hn::Lt(a.v, b.v)}; }
  friend HWY_INLINE Mask operator>=(Simd a, Simd b) { return {hn::Ge(a.v, b.v)}; }
  friend HWY_INLINE Mask operator<=(Simd a, Simd b) { return {hn::Le(a.v, b.v)}; }
  friend HWY_INLINE Mask operator==(Simd a, Simd b) { return {hn::Eq(a.v, b.v)}; }
  friend HWY_INLINE Mask operator!=(Simd a, Simd b) { return {hn::Not(hn::Eq(a.v, b.v))}; }

  friend HWY_INLINE Simd where(Mask condition, Simd yes, Simd no) {
    return hn::IfThenElse(condition.m, yes.v, no.v);
  }
  friend HWY_INLINE Mask isnan(Simd x) { return {hn::IsNaN(x.v)}; }
  friend HWY_INLINE Simd abs(Simd x) { return hn::Abs(x.v); }
  friend HWY_INLINE Simd sqrt(Simd x) { return hn::Sqrt(x.v); }
  friend HWY_INLINE Simd rsqrt(Simd x) { return hn::Div(hn::Set(D(), T(1)), hn::Sqrt(x.v)); }
  friend HWY_INLINE Simd floor(Simd x) { return hn::Floor(x.v); }
  friend HWY_INLINE Simd ceil(Simd x) { return hn::Ceil(x.v); }
  friend HWY_INLINE Simd trunc(Simd x) { return hn::Trunc(x.v); }
  friend HWY_INLINE Simd round_to_even(Simd x) { return hn::Round(x.v); }
  friend HWY_INLINE Simd copysign(Simd a, Simd b) { return hn::CopySign(a.v, b.v); }
  friend HWY_INLINE Simd maximum(Simd a, Simd b) { return where((a > b) | isnan(a), a, b); }
  friend HWY_INLINE Simd minimum(Simd a, Simd b) { return where((a < b) | isnan(a), a, b); }

  friend HWY_INLINE Simd multiply_add(Simd a, Simd b, Simd c) { return hn::MulAdd(a.v, b.v, c.v); }

  friend HWY_INLINE Simd exp(Simd x) { return exp_any(D(), x.v); }
  friend HWY_INLINE Simd exp2(Simd x) { return exp2_any(D(), x.v); }
  friend HWY_INLINE Simd expm1(Simd x) { return expm1_any(D(), x.v); }
  // The exponents that scripts write; pow itself rounds the square no better.
  friend HWY_INLINE Simd pow(Simd a, Simd b) {
    if (are_all(b, 2)) return a * a;
    if (are_all(b, 1)) return a;
    return pow_lane_by_lane(a, b);
  }
  friend HWY_INLINE Simd log(Simd x) { return log_any(D(), x.v); }
  friend HWY_INLINE Simd log2(Simd x) { return log2_any(D(), x.v); }
  friend HWY_INLINE Simd log10(Simd x) { return log10_any(D(), x.v); }
  friend HWY_INLINE Simd log1p(Simd x) { return log1p_any(D(), x.v); }
  friend HWY_INLINE Simd tanh(Simd x) { return tanh_any(D(), x.v); }
  friend HWY_INLINE Simd sigmoid(Simd x) { return Simd(1.0) / (Simd(1.0) + exp(-x)); }
  friend HWY_INLINE Simd sin(Simd x) {
    if (HWY_UNLIKELY(!fits_reduction(x))) return lane_by_lane(x, &std::sin);
    return hn::Sin(D(), x.v);
  }
  friend HWY_INLINE Simd cos(Simd x) {
    if (HWY_UNLIKELY(!fits_reduction(x))) return lane_by_lane(x, &std::cos);
    return hn::Cos(D(), x.v);
  }
  friend HWY_INLINE Simd tan(Simd x) {
    if (HWY_UNLIKELY(!fits_reduction(x))) return lane_by_lane(x, &std::tan);
    return hn::Div(hn::Sin(D(), x.v), hn::Cos(D(), x.v));
  }
  friend HWY_INLINE Simd asin(Simd x) { return hn::Asin(D(), x.v); }
  friend HWY_INLINE Simd acos(Simd x) { return hn::Acos(D(), x.v); }
  friend HWY_INLINE Simd atan(Simd x) { return hn::Atan(D(), x.v); }
  friend HWY_INLINE Simd sinh(Simd x) { return sinh_any(D(), x.v); }
  friend HWY_INLINE Simd cosh(Simd x) { return cosh_any(D(), x.v); }
  friend HWY_INLINE Simd asinh(Simd x) { return asinh_any(D(), x.v); }
  friend HWY_INLINE Simd acosh(Simd x) { return acosh_any(D(), x.v); }
  friend HWY_INLINE Simd atanh(Simd x) { return atanh_any(D(), x.v); }
  friend HWY_INLINE Simd erf(Simd x) { return erf_any(D(), x.v); }
  friend HWY_INLINE Simd erfc(Simd x) { return erfc_any(D(), x.v); }
  friend HWY_INLINE Simd erfinv(Simd x) { return erfinv_any(D(), x.v); }

 private:
  // Highway reduces arguments in steps of pi without extra digits: exact enough only near 0.
  static HWY_INLINE bool fits_reduction(Simd x) {
    return hn::AllTrue(D(), (abs(x) <= Simd(sizeof(T) == 4 ? 8192.0 : 1e6)).m);
  }
  static HWY_INLINE bool are_all(Simd x, double value) {
    return hn::AllTrue(D(), (x == Simd(value)).m);
  }
  static HWY_NOINLINE Simd pow_lane_by_lane(Simd a, Simd b) {
    HWY_ALIGN T bases[hn::MaxLanes(D())], exponents[hn::MaxLanes(D())];
    hn::Store(a.v, D(), bases);
    hn::Store(b.v, D(), exponents);
    for (size_t i = 0; i < hn::Lanes(D()); ++i) {
      const T base = bases[i];
      bases[i] = exponents[i] == 2 ? base * base : std::pow(base, exponents[i]);
    }
    return hn::Load(D(), bases);
  }
  static HWY_NOINLINE Simd lane_by_lane(Simd x, T (*function)(T)) {
    HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
    hn::Store(x.v, D(), lanes);
    for (size_t i = 0; i < hn::Lanes(D()); ++i) lanes[i] = function(lanes[i]);
    return hn::Load(D(), lanes);
  }
};

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
