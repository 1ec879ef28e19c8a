// Hyperbolic functions and their inverses of vectors of float or double, right for every argument.
// Included inside every instruction set: see Note [One build, three instruction sets].

#if defined(TAUT_KERNELS_API_SIMD_HYPERBOLIC_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_API_SIMD_HYPERBOLIC_INL_H_
#undef TAUT_KERNELS_API_SIMD_HYPERBOLIC_INL_H_
#else
#define TAUT_KERNELS_API_SIMD_HYPERBOLIC_INL_H_
#endif

#include "kernels/api/simd_exp-inl.h"
#include "kernels/api/simd_log-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// e^a / 2, which is finite somewhat longer than e^a; from here on sinh and cosh are that.
template <class D>
HWY_INLINE hn::Vec<D> half_exp(D d, hn::Vec<D> a) {
  const auto half = hn::Set(d, LaneOf<D>(0.5));
  const auto root = exp_any(d, hn::Mul(a, half));
  return hn::Mul(hn::Mul(root, half), root);
}
template <class T>
inline constexpr T kFarHyperbolic = sizeof(T) == 4 ? 80 : 700;

/// sinh(x) = e/2 (1 + 1/(e + 1)), e = e^|x| - 1.
template <class D>
HWY_INLINE hn::Vec<D> sinh_any(D d, hn::Vec<D> x) {
  using T = LaneOf<D>;
  const auto one = hn::Set(d, T(1));
  const auto a = hn::Abs(x);
  const auto far = hn::Set(d, kFarHyperbolic<T>);
  const auto e = expm1_of_normal(d, hn::Min(far, a));
  const auto factor = hn::Add(one, hn::Div(one, hn::Add(e, one)));
  auto y = hn::Mul(hn::Mul(e, hn::Set(d, T(0.5))), factor);
  if (HWY_UNLIKELY(!all_within(d, x, kFarHyperbolic<T>))) {
    y = hn::IfThenElse(hn::Gt(a, far), half_exp(d, a), y);
  }
  return hn::CopySign(y, x);
}

/// cosh(x) = (e^|x| + e^-|x|) / 2
template <class D>
HWY_INLINE hn::Vec<D> cosh_any(D d, hn::Vec<D> x) {
  using T = LaneOf<D>;
  const auto half = hn::Set(d, T(0.5));
  const auto a = hn::Abs(x);
  const auto far = hn::Set(d, kFarHyperbolic<T>);
  const auto e = exp_any(d, hn::Min(far, a));
  const auto y = hn::MulAdd(e, half, hn::Div(half, e));
  if (HWY_LIKELY(all_within(d, x, kFarHyperbolic<T>))) return y;
  return hn::IfThenElse(hn::Gt(a, far), half_exp(d, a), y);
}

// log(2 a), which asinh and acosh are for large a, whose square would be infinite.
template <class T>
inline constexpr T kLargeInverse = 1e9f;
template <class D>
HWY_INLINE hn::Vec<D> log_of_double(D d, hn::Vec<D> a) {
  return hn::Add(log_any(d, a), hn::Set(d, LaneOf<D>(0.693147180559945309417)));
}

/// asinh(x) = log1p(a + a^2 / (1 + sqrt(a^2 + 1))) of a = |x|.
template <class D>
HWY_INLINE hn::Vec<D> asinh_any(D d, hn::Vec<D> x) {
  using T = LaneOf<D>;
  const auto one = hn::Set(d, T(1));
  const auto large = hn::Set(d, kLargeInverse<T>);
  const auto a = hn::Abs(x);
  const auto bounded = hn::Min(large, a);
  const auto square = hn::Mul(bounded, bounded);
  const auto root = hn::Sqrt(hn::Add(square, one));
  const auto y = log1p_any(d, hn::Add(bounded, hn::Div(square, hn::Add(one, root))));
  return hn::CopySign(hn::IfThenElse(hn::Gt(a, large), log_of_double(d, a), y), x);
}

/// acosh(x) = log1p(t + sqrt(t (t + 2))), t = x - 1; NaN below 1.
template <class D>
HWY_INLINE hn::Vec<D> acosh_any(D d, hn::Vec<D> x) {
  using T = LaneOf<D>;
  const auto large = hn::Set(d, kLargeInverse<T>);
  const auto t = hn::Sub(hn::Min(large, x), hn::Set(d, T(1)));
  const auto root = hn::Sqrt(hn::Mul(t, hn::Add(t, hn::Set(d, T(2)))));
  auto y = log1p_any(d, hn::Add(t, root));
  y = hn::IfThenElse(hn::Gt(x, large), log_of_double(d, x), y);
  const auto nan = hn::Set(d, std::numeric_limits<T>::quiet_NaN());
  return hn::IfThenElse(hn::Lt(t, hn::Zero(d)), nan, y);
}

/// atanh(x) = log1p(2 a / (1 - a)) / 2 of a = |x|; infinite at 1, NaN beyond.
template <class D>
HWY_INLINE hn::Vec<D> atanh_any(D d, hn::Vec<D> x) {
  using T = LaneOf<D>;
  const auto a = hn::Abs(x);
  const auto ratio = hn::Div(hn::Add(a, a), hn::Sub(hn::Set(d, T(1)), a));
  return hn::CopySign(hn::Mul(hn::Set(d, T(0.5)), log1p_any(d, ratio)), x);
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
