// exp, exp2 and expm1 of vectors of float or double. The results do not depend on the number of
// lanes, and an element's does not depend on its neighbours.
// Included inside every instruction set: see Note [One build, three instruction sets].
//
// x = n log(2) + r with |r| <= log(2) / 2, after Cody and Waite (Software Manual for the Elementary
// Functions, 1980): log(2) is split in two so that n times the first part is exact. Then e^r = 1 +
// r
// + r^2 q(r), where q is the polynomial of the least relative error of e^r there (Remez exchange;
// 3e-9 in float and 4e-18 in double, so that only rounding counts), and 2^n is added to the
// exponent. Arguments whose result is not a normal number take another path as a whole vector; it
// gives the other lanes the same bits.

#if defined(TAUT_KERNELS_API_SIMD_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_API_SIMD_EXP_INL_H_
#undef TAUT_KERNELS_API_SIMD_EXP_INL_H_
#else
#define TAUT_KERNELS_API_SIMD_EXP_INL_H_
#endif

#include <limits>

#include "kernels/api/simd_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

/// The polynomial with these coefficients, from the highest power down (Horner's scheme).
template <class D, size_t kCount>
HWY_INLINE hn::Vec<D> polynomial(D d, hn::Vec<D> x, const LaneOf<D> (&coefficients)[kCount]) {
  auto sum = hn::Set(d, coefficients[0]);
  for (size_t k = 1; k < kCount; ++k) sum = hn::MulAdd(sum, x, hn::Set(d, coefficients[k]));
  return sum;
}

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  static constexpr int kMantissaBits = 23;
  static constexpr int32_t kBias = 127;
  static constexpr float kShifter = 12582912.0f;  // 1.5 2^23: adding it leaves n in the lowest bits
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  static constexpr float kNormal = 87.0f;  // |x| up to here gives a normal number
  static constexpr float kHighest = 89.0f, kLowest = -104.5f;  // infinite and 0 from here on
  static constexpr float q[] = {0.00138145394f, 0.00836874545f, 0.0416683890f, 0.166665211f,
                                0.499999940f};
};
template <>
struct ExpConstants<double> {
  static constexpr int kMantissaBits = 52;
  static constexpr int64_t kBias = 1023;
  static constexpr double kShifter = 6755399441055744.0;  // 1.5 2^52
  static constexpr double kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kNormal = 707.0;
  static constexpr double kHighest = 710.0, kLowest = -746.0;
  static constexpr double q[] = {
      2.5000017846119357e-08, 2.763030634758801e-07, 2.7557586807971833e-06, 2.480149294935911e-05,
      1.9841269505767618e-04, 0.0013888888943760225, 0.008333333333494982,   0.041666666666529725,
      0.1666666666666641,     0.5000000000000011};
};

/// x = n log(2) + r.
template <class D>
struct ReducedExponent {
  using Integers = hn::Vec<hn::RebindToSigned<D>>;
  hn::Vec<D> r;
  Integers n;  // the lowest bits only: 2^n comes from shifting them to the exponent

  HWY_INLINE ReducedExponent(D d, hn::Vec<D> x) {
    using C = ExpConstants<LaneOf<D>>;
    const auto shifter = hn::Set(d, C::kShifter);
    const auto shifted = hn::MulAdd(x, hn::Set(d, LaneOf<D>(1.44269504088896340736)), shifter);
    const auto whole = hn::Sub(shifted, shifter);
    r = hn::NegMulAdd(whole, hn::Set(d, C::kLn2High), x);
    r = hn::NegMulAdd(whole, hn::Set(d, C::kLn2Low), r);
    n = hn::BitCast(hn::RebindToSigned<D>(), shifted);
  }
};

template <class D>
HWY_INLINE hn::Vec<D> power_of_two(D d, hn::Vec<hn::RebindToSigned<D>> n) {
  using C = ExpConstants<LaneOf<D>>;
  const hn::RebindToSigned<D> integers;
  const auto biased = hn::Add(n, hn::Set(integers, C::kBias));
  return hn::BitCast(d, hn::ShiftLeft<C::kMantissaBits>(biased));
}

/// e^r for |r| <= log(2) / 2.
template <class D>
HWY_INLINE hn::Vec<D> exp_of_rest(D d, hn::Vec<D> r) {
  const auto one = hn::Set(d, LaneOf<D>(1));
  const auto slope = hn::MulAdd(polynomial(d, r, ExpConstants<LaneOf<D>>::q), r, one);
  return hn::MulAdd(slope, r, one);
}

/// p 2^n, where that is a normal number: n is added to the exponent.
template <class D>
HWY_INLINE hn::Vec<D> scale_normal(D d, hn::Vec<D> p, hn::Vec<hn::RebindToSigned<D>> n) {
  const hn::RebindToSigned<D> integers;
  const auto exponent = hn::ShiftLeft<ExpConstants<LaneOf<D>>::kMantissaBits>(n);
  return hn::BitCast(d, hn::Add(hn::BitCast(integers, p), exponent));
}

/// p 2^n, which may be infinite or denormal: by two halves of n, each a normal number.
template <class D>
HWY_INLINE hn::Vec<D> scale_any(D d, hn::Vec<D> p, hn::Vec<hn::RebindToSigned<D>> n) {
  const hn::RebindToSigned<D> integers;
  const auto bits = hn::BitCast(integers, hn::Set(d, ExpConstants<LaneOf<D>>::kShifter));
  const auto whole = hn::Sub(n, bits);
  const auto half = hn::ShiftRight<1>(whole);
  return hn::Mul(hn::Mul(p, power_of_two(d, half)), power_of_two(d, hn::Sub(whole, half)));
}

template <class D>
HWY_NOINLINE hn::Vec<D> exp_of_extremes(D d, hn::Vec<D> x) {
  using C = ExpConstants<LaneOf<D>>;
  // The second operand wins where it is NaN.
  x = hn::Max(hn::Set(d, C::kLowest), hn::Min(hn::Set(d, C::kHighest), x));
  const ReducedExponent<D> reduced(d, x);
  return scale_any(d, exp_of_rest(d, reduced.r), reduced.n);
}

/// Whether every |x| is at most `bound`, which no NaN is.
template <class D>
HWY_INLINE bool all_within(D d, hn::Vec<D> x, LaneOf<D> bound) {
  return hn::AllTrue(d, hn::Le(hn::Abs(x), hn::Set(d, bound)));
}

/// e^x for any x.
template <class D>
HWY_INLINE hn::Vec<D> exp_any(D d, hn::Vec<D> x) {
  if (HWY_UNLIKELY(!all_within(d, x, ExpConstants<LaneOf<D>>::kNormal))) {
    return exp_of_extremes(d, x);
  }
  const ReducedExponent<D> reduced(d, x);
  return scale_normal(d, exp_of_rest(d, reduced.r), reduced.n);
}

/// 2^x for any x: here the split is exact.
template <class D>
HWY_INLINE hn::Vec<D> exp2_any(D d, hn::Vec<D> x) {
  using T = LaneOf<D>;
  using C = ExpConstants<T>;
  const hn::RebindToSigned<D> integers;
  const auto limit = hn::Set(d, T(C::kBias + C::kMantissaBits + 2));
  x = hn::Max(hn::Neg(limit), hn::Min(limit, x));
  const auto shifted = hn::Add(x, hn::Set(d, C::kShifter));
  const auto rest = hn::Sub(x, hn::Sub(shifted, hn::Set(d, C::kShifter)));
  const auto p = exp_of_rest(d, hn::Mul(rest, hn::Set(d, T(0.693147180559945309417))));
  const auto n = hn::BitCast(integers, shifted);
  if (HWY_UNLIKELY(!all_within(d, x, T(C::kBias - 2)))) return scale_any(d, p, n);
  return scale_normal(d, p, n);
}

/// e^x - 1 for |x| up to the bound of normal numbers, and NaN; all digits of small x are kept. The
/// sign of 0 may be lost.
template <class D>
HWY_INLINE hn::Vec<D> expm1_of_normal(D d, hn::Vec<D> x) {
  using C = ExpConstants<LaneOf<D>>;
  const hn::RebindToSigned<D> integers;
  const auto one = hn::Set(d, LaneOf<D>(1));
  const ReducedExponent<D> reduced(d, x);
  const auto r = reduced.r;
  const auto p = hn::MulAdd(hn::Mul(r, r), polynomial(d, r, C::q), r);
  const auto exponent = hn::ShiftLeft<C::kMantissaBits>(reduced.n);
  const auto power = hn::BitCast(d, hn::Add(exponent, hn::BitCast(integers, one)));
  return hn::MulAdd(p, power, hn::Sub(power, one));
}

template <class D>
HWY_NOINLINE hn::Vec<D> expm1_of_extremes(D d, hn::Vec<D> x) {
  const auto bound = hn::Set(d, ExpConstants<LaneOf<D>>::kNormal);
  const auto clamped = hn::Max(hn::Neg(bound), hn::Min(bound, x));
  const auto result = hn::CopySign(expm1_of_normal(d, clamped), x);
  return hn::IfThenElse(hn::Gt(x, bound), exp_of_extremes(d, x), result);
}

/// e^x - 1 for any x.
template <class D>
HWY_INLINE hn::Vec<D> expm1_any(D d, hn::Vec<D> x) {
  if (HWY_UNLIKELY(!all_within(d, x, ExpConstants<LaneOf<D>>::kNormal))) {
    return expm1_of_extremes(d, x);
  }
  return hn::CopySign(expm1_of_normal(d, x), x);
}

/// tanh(x) = (e^2x - 1) / (e^2x + 1) of |x|, which rounds to 1 from the bound on.
template <class D>
HWY_INLINE hn::Vec<D> tanh_any(D d, hn::Vec<D> x) {
  using T = LaneOf<D>;
  const auto magnitude = hn::Min(hn::Set(d, T(sizeof(T) == 4 ? 9.25 : 19.5)), hn::Abs(x));
  const auto e = expm1_of_normal(d, hn::Add(magnitude, magnitude));
  return hn::CopySign(hn::Div(e, hn::Add(e, hn::Set(d, T(2)))), x);
}

/// e^x in float for the lanes of `is_normal`, x from the least normal result up to 0; 0 for others.
template <class D>
HWY_INLINE hn::Vec<D> exp_where(D d, hn::Mask<D> is_normal, hn::Vec<D> x) {
  // As at the top of this file, with a polynomial of degree 5 of relative error 9.2e-8 and log(2)
  // in one part, which adds 1.9e-9 n: half a unit of the last place for x = -20, four where e^x is
  // the least normal number.
  constexpr float kPolynomial[] = {0.008290308529f, 0.04189794004f, 0.1666763634f,
                                   0.4999914944f,   0.9999997071f,  1.0f};
  const hn::RebindToSigned<D> integers;
  const auto shifter = hn::Set(d, ExpConstants<float>::kShifter);
  const auto shifted = hn::MulAdd(x, hn::Set(d, 1.44269504089f), shifter);
  const auto r = hn::NegMulAdd(hn::Sub(shifted, shifter), hn::Set(d, 0.69314718056f), x);
  const auto p = polynomial(d, r, kPolynomial);
  return hn::IfThenElseZero(is_normal, scale_normal(d, p, hn::BitCast(integers, shifted)));
}

/// Where exp(x) is a normal float, of x <= 0. At the bound itself r is positive, so that the sum of
/// the exponents in scale_normal is one of a normal number.
template <class D>
HWY_INLINE hn::Mask<D> has_normal_exp(D d, hn::Vec<D> x) {
  return hn::Ge(x, hn::Set(d, -87.3365f));
}

/// exp(x) for x <= 0 and NaN, the arguments of a softmax: 0 for -inf, NaN for NaN. In float it
/// flushes what is below the normal numbers to 0.
template <class D>
HWY_INLINE hn::Vec<D> exp_nonpositive(D d, hn::Vec<D> x) {
  if constexpr (sizeof(LaneOf<D>) == 8) {
    return exp_any(d, x);
  } else {
    return hn::IfThenElse(hn::IsNaN(x), x, exp_where(d, has_normal_exp(d, x), x));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
