// exp and log of vectors: Highway's, with the special values that those get wrong put right.
// Included inside every instruction set: see Note [One build, three instruction sets].

#if defined(TAUT_KERNELS_API_SIMD_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_API_SIMD_EXP_INL_H_
#undef TAUT_KERNELS_API_SIMD_EXP_INL_H_
#else
#define TAUT_KERNELS_API_SIMD_EXP_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>

#include <limits>

#include "kernels/api/simd_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

/// exp(x) for x <= 0 and NaN, the arguments of a softmax: 0 for -inf, NaN for NaN. In float it
/// flushes what is below the normal numbers to 0.
template <class D>
HWY_INLINE hn::Vec<D> exp_nonpositive(D d, hn::Vec<D> x) {
  if constexpr (sizeof(LaneOf<D>) == 8) {
    return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, x));
  } else {
    // x = n log(2) + r, |r| <= log(2) / 2. Adding 1.5 2^23 leaves n in the lowest bits. exp(r) is
    // the polynomial of degree 5 with constant 1 of the least relative error there, 9.2e-8.
    const hn::RebindToSigned<D> di;
    const auto shifter = hn::Set(d, 12582912.0f);
    const auto shifted = hn::MulAdd(x, hn::Set(d, 1.44269504088896341f), shifter);
    const auto n = hn::Sub(shifted, shifter);
    auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
    r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
    auto p = hn::MulAdd(hn::Set(d, 0.008290308529f), r, hn::Set(d, 0.04189794004f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.1666763634f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.4999914944f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.9999997071f));
    p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
    const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
    const auto power = hn::BitCast(d, hn::Add(exponent, hn::Set(di, 0x3f800000)));
    return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.3365f)), hn::Mul(p, power));
  }
}

/// exp(x) for any x.
template <class D>
HWY_INLINE hn::Vec<D> exp_any(D d, hn::Vec<D> x) {
  using A = LaneOf<D>;
  const auto highest = hn::Set(d, sizeof(A) == 4 ? A(88.7228) : A(709.7827));
  const auto too_high = hn::Gt(x, highest);
  const auto result =
      hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, hn::IfThenElse(too_high, highest, x)));
  return hn::IfThenElse(too_high, hn::Set(d, std::numeric_limits<A>::infinity()), result);
}

/// log(x) for any x: -inf at 0, inf at inf, NaN below 0 and for NaN.
template <class D>
HWY_INLINE hn::Vec<D> log_any(D d, hn::Vec<D> x) {
  using A = LaneOf<D>;
  const auto infinity = hn::Set(d, std::numeric_limits<A>::infinity());
  const auto zero = hn::Zero(d);
  auto result = hn::Log(d, x);
  result = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity), result);
  result = hn::IfThenElse(hn::Eq(x, infinity), infinity, result);
  const auto nan = hn::Set(d, std::numeric_limits<A>::quiet_NaN());
  return hn::IfThenElse(hn::Ge(x, zero), result, nan);
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
