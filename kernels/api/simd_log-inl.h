// Logarithms of vectors of float or double, right for every argument: -inf at 0, NaN below 0.
// Included inside every instruction set: see Note [One build, three instruction sets].

#if defined(TAUT_KERNELS_API_SIMD_LOG_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_API_SIMD_LOG_INL_H_
#undef TAUT_KERNELS_API_SIMD_LOG_INL_H_
#else
#define TAUT_KERNELS_API_SIMD_LOG_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>

#include <limits>

#include "kernels/api/simd_exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

/// x = m 2^e of positive numbers, with m from 2/3 to 4/3, both as numbers.
template <class D>
HWY_INLINE void split_normal(D d, hn::Vec<D> x, hn::Vec<D>& m, hn::Vec<D>& e) {
  using C = ExpConstants<LaneOf<D>>;
  const hn::RebindToSigned<D> integers;
  const auto bits = hn::BitCast(integers, x);
  const auto two_thirds = hn::BitCast(integers, hn::Set(d, LaneOf<D>(0.66666666666666666667)));
  const auto exponent = hn::ShiftRight<C::kMantissaBits>(hn::Sub(bits, two_thirds));
  m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<C::kMantissaBits>(exponent)));
  e = hn::ConvertTo(d, exponent);
}
template <class D>
HWY_INLINE void split_any(D d, hn::Vec<D> x, hn::Vec<D>& m, hn::Vec<D>& e) {
  using T = LaneOf<D>;
  constexpr int kBits = ExpConstants<T>::kMantissaBits;
  const auto is_small = hn::Lt(x, hn::Set(d, std::numeric_limits<T>::min()));
  const auto scaled = hn::Mul(x, hn::Set(d, static_cast<T>(int64_t{1} << kBits)));
  split_normal(d, hn::IfThenElse(is_small, scaled, x), m, e);
  e = hn::IfThenElse(is_small, hn::Sub(e, hn::Set(d, T(kBits))), e);
}

/// log(m) + e log(2) for m from 2/3 to 4/3: f - f^2/2 + f^3 P(f), f = m - 1, where P is the
/// polynomial of the least relative error of log there (Remez exchange; 5e-9).
template <class D>
HWY_INLINE hn::Vec<D> log_of_split(D d, hn::Vec<D> m, hn::Vec<D> e) {
  constexpr float kPolynomial[] = {-0.128916555f, 0.139844523f,  -0.121842704f,
                                   0.140058662f,  -0.166804864f, 0.200104060f,
                                   -0.249997977f, 0.333332160f,  -0.5f};
  const auto f = hn::Sub(m, hn::Set(d, 1.0f));
  const auto low = hn::Mul(e, hn::Set(d, -2.12194440e-4f));
  const auto tail = hn::MulAdd(hn::Mul(f, f), polynomial(d, f, kPolynomial), low);
  return hn::MulAdd(e, hn::Set(d, 0.693359375f), hn::Add(tail, f));
}

/// `y`, and what the logarithm of x is where x is no positive number or infinite.
template <class D>
HWY_INLINE hn::Vec<D> mend_log(D d, hn::Vec<D> x, hn::Vec<D> y) {
  using T = LaneOf<D>;
  const auto infinity = hn::Set(d, std::numeric_limits<T>::infinity());
  const auto zero = hn::Zero(d);
  y = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity), y);
  y = hn::IfThenElse(hn::Eq(x, infinity), infinity, y);
  return hn::IfThenElse(hn::Ge(x, zero), y, hn::Set(d, std::numeric_limits<T>::quiet_NaN()));
}

template <class D>
HWY_NOINLINE hn::Vec<D> log_of_extremes(D d, hn::Vec<D> x) {
  hn::Vec<D> m, e;
  split_any(d, x, m, e);
  return mend_log(d, x, log_of_split(d, m, e));
}

/// log(x) for any x.
template <class D>
HWY_INLINE hn::Vec<D> log_any(D d, hn::Vec<D> x) {
  using T = LaneOf<D>;
  if constexpr (sizeof(T) == 8) {
    return mend_log(d, x, hn::Log(d, x));
  } else {
    const auto is_normal = hn::And(hn::Ge(x, hn::Set(d, std::numeric_limits<T>::min())),
                                   hn::Le(x, hn::Set(d, std::numeric_limits<T>::max())));
    if (HWY_UNLIKELY(!hn::AllTrue(d, is_normal))) return log_of_extremes(d, x);
    hn::Vec<D> m, e;
    split_normal(d, x, m, e);
    return log_of_split(d, m, e);
  }
}

/// The logarithm in base b of any x, given log_b(2), as high + low so that e times high is exact,
/// and log_b(e). Powers of two are exact where log_b(2) is.
template <class D>
HWY_INLINE hn::Vec<D> log_in_base(D d, hn::Vec<D> x, double high, double low, double scale) {
  using T = LaneOf<D>;
  hn::Vec<D> m, e, y;
  split_any(d, x, m, e);
  if constexpr (sizeof(T) == 8) {
    y = hn::Log(d, m);
  } else {
    y = log_of_split(d, m, hn::Zero(d));
  }
  const auto rest = hn::MulAdd(y, hn::Set(d, T(scale)), hn::Mul(e, hn::Set(d, T(low))));
  return mend_log(d, x, hn::MulAdd(e, hn::Set(d, T(high)), rest));
}
template <class D>
HWY_INLINE hn::Vec<D> log2_any(D d, hn::Vec<D> x) {
  return log_in_base(d, x, 1.0, 0.0, 1.44269504088896340736);
}
template <class D>
HWY_INLINE hn::Vec<D> log10_any(D d, hn::Vec<D> x) {
  // log10(2) cut to 13 bits.
  constexpr double kHigh = 0.301025390625;
  return log_in_base(d, x, kHigh, 0.301029995663981195214 - kHigh, 0.434294481903251827651);
}

/// log(1 + x) for any x >= -1, NaN below.
template <class D>
HWY_INLINE hn::Vec<D> log1p_any(D d, hn::Vec<D> x) {
  using T = LaneOf<D>;
  const auto one = hn::Set(d, T(1));
  const auto y = mend_log(d, hn::Add(x, one), hn::Log1p(d, x));
  const auto is_tiny = hn::Lt(hn::Abs(x), hn::Set(d, T(sizeof(T) == 4 ? 1e-7 : 1e-16)));
  return hn::IfThenElse(is_tiny, x, y);
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
