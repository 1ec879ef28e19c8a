// The number type that functors see in CPU kernels: a SIMD vector of float or double with the
// operators and the mathematics of a number. One definition for each instruction set; see
// Note [One build, three instruction sets].
//
// Highway's contrib/math is fast on ordinary arguments and wrong outside its range (it gives finite
// values for exp(nan), exp(1e6), log(0) and log(-1)); the functions here mend that.

#if defined(TAUT_KERNELS_ELEMENTWISE_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_ELEMENTWISE_SIMD_INL_H
#undef TAUT_KERNELS_ELEMENTWISE_SIMD_INL_H
#else
#define TAUT_KERNELS_ELEMENTWISE_SIMD_INL_H
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

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

  friend HWY_INLINE Simd exp(Simd x) {
    // Past these bounds the result is infinite or 0 anyway.
    const Simd bound(sizeof(T) == 4 ? 89.0 : 710.0);
    const Simd low(sizeof(T) == 4 ? -104.5 : -746.0);
    const Simd y = hn::Exp(D(), hn::Max(hn::Min(x.v, bound.v), low.v));
    return where(isnan(x), x, where(x < low, Simd(0.0), y));
  }
  friend HWY_INLINE Simd expm1(Simd x) {
    const Simd bound(sizeof(T) == 4 ? 89.0 : 710.0);
    const Simd low(sizeof(T) == 4 ? -40.0 : -60.0);
    const Simd y = hn::Expm1(D(), hn::Max(hn::Min(x.v, bound.v), low.v));
    // Small arguments keep their digits and the sign of 0.
    return where(isnan(x) | (abs(x) < Simd(sizeof(T) == 4 ? 1e-7 : 1e-16)), x, y);
  }
  friend HWY_INLINE Simd log(Simd x) { return mend_log(x, hn::Log(D(), x.v), x); }
  friend HWY_INLINE Simd log1p(Simd x) {
    const Simd y = mend_log(x, hn::Log1p(D(), x.v), x + Simd(1.0));
    return where(abs(x) < Simd(sizeof(T) == 4 ? 1e-7 : 1e-16), x, y);
  }
  friend HWY_INLINE Simd tanh(Simd x) {
    // tanh rounds to 1 long before 20.
    const Simd bounded = hn::Max(hn::Min(x.v, Simd(20.0).v), Simd(-20.0).v);
    const Simd y = hn::Tanh(D(), bounded.v);
    return where(isnan(x) | (abs(x) < Simd(sizeof(T) == 4 ? 1e-4 : 1e-8)), x, y);
  }
  friend HWY_INLINE Simd sigmoid(Simd x) { return Simd(1.0) / (Simd(1.0) + exp(-x)); }
  friend HWY_INLINE Simd sin(Simd x) {
    if (HWY_UNLIKELY(!fits_reduction(x))) return lane_by_lane(x, &std::sin);
    return hn::Sin(D(), x.v);
  }
  friend HWY_INLINE Simd cos(Simd x) {
    if (HWY_UNLIKELY(!fits_reduction(x))) return lane_by_lane(x, &std::cos);
    return hn::Cos(D(), x.v);
  }
  friend HWY_INLINE Simd erf(Simd x) {
    if constexpr (sizeof(T) == 8)
      return lane_by_lane(x, &std::erf);
    else
      return erf_float(x);
  }

 private:
  // log of `argument`, given Highway's y: minus infinity at 0, NaN below, infinity and NaN kept.
  static HWY_INLINE Simd mend_log(Simd x, Simd y, Simd argument) {
    const Simd infinity(std::numeric_limits<double>::infinity());
    const Simd nan(std::numeric_limits<double>::quiet_NaN());
    y = where(argument == Simd(0.0), -infinity, y);
    y = where(argument < Simd(0.0), nan, y);
    return where(isnan(x) | (x == infinity), x, y);
  }
  // Highway reduces arguments in steps of pi without extra digits: exact enough only near 0.
  static HWY_INLINE bool fits_reduction(Simd x) {
    return hn::AllTrue(D(), (abs(x) <= Simd(sizeof(T) == 4 ? 8192.0 : 1e6)).m);
  }
  static HWY_NOINLINE Simd lane_by_lane(Simd x, T (*function)(T)) {
    HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
    hn::Store(x.v, D(), lanes);
    for (size_t i = 0; i < hn::Lanes(D()); ++i) lanes[i] = function(lanes[i]);
    return hn::Load(D(), lanes);
  }

  // |x| < 1: x times a polynomial in x^2 (the Taylor series of erf, which alternates and is cut
  // where its terms fall under the last bit of float). Beyond: 1 - e^(-x^2) t q(t), t = 1/(1 +
  // x/2), with the coefficients of Numerical Recipes (1st ed., section 6.2: erfcc, relative
  // error 1.2e-7).
  static HWY_INLINE Simd erf_float(Simd x) {
    const Simd square = x * x;
    constexpr double kSeries[] = {1.0 / 6894720, -1.0 / 685440, 1.0 / 75600, -1.0 / 9360,
                                  1.0 / 1320,    -1.0 / 216,    1.0 / 42,    -1.0 / 10,
                                  1.0 / 3,       -1.0};
    Simd small(kSeries[0]);
    for (int i = 1; i < 10; ++i) small = small * square + Simd(kSeries[i]);
    small = small * x * Simd(-1.1283791670955125739);  // 2/sqrt(pi)

    constexpr double kTail[] = {0.17087277,  -0.82215223, 1.48851587, -1.13520398, 0.27886807,
                                -0.18628806, 0.09678418,  0.37409196, 1.00002368,  -1.26551223};
    const Simd magnitude = abs(x);
    const Simd t = Simd(1.0) / (magnitude * Simd(0.5) + Simd(1.0));
    Simd q(kTail[0]);
    for (int i = 1; i < 10; ++i) q = q * t + Simd(kTail[i]);
    const Simd large = copysign(Simd(1.0) - t * exp(q - square), x);
    return where(magnitude < Simd(1.0), small, where(isnan(x), x, large));
  }
};

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
