// The CPU loops of arithmetic.inl; see kernels/elementwise/rows.h.

#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/arithmetic_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/elementwise/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

#include "kernels/elementwise/arithmetic.inl"

void add_arithmetic_rows(RowTable& table) {
  add_functor<Abs>(table, Pointwise::Abs);
  add_functor<Neg>(table, Pointwise::Neg);
  add_functor<Square>(table, Pointwise::Square);
  add_functor<Sgn>(table, Pointwise::Sgn);
  add_functor<Sign>(table, Pointwise::Sign);
  add_functor<Reciprocal>(table, Pointwise::Reciprocal);
  add_functor<Sqrt>(table, Pointwise::Sqrt);
  add_functor<Rsqrt>(table, Pointwise::Rsqrt);
  add_functor<Deg2rad>(table, Pointwise::Deg2rad);
  add_functor<Rad2deg>(table, Pointwise::Rad2deg);
  add_functor<Add>(table, Pointwise::Add);
  add_functor<Sub>(table, Pointwise::Sub);
  add_functor<Mul>(table, Pointwise::Mul);
  add_functor<TrueDivide>(table, Pointwise::TrueDivide);
  add_functor<FloorDivide>(table, Pointwise::FloorDivide);
  add_functor<Fmod>(table, Pointwise::Fmod);
  add_functor<Remainder>(table, Pointwise::Remainder);
  add_functor<Maximum>(table, Pointwise::Maximum);
  add_functor<Minimum>(table, Pointwise::Minimum);
  add_functor<Fmax>(table, Pointwise::Fmax);
  add_functor<Fmin>(table, Pointwise::Fmin);
  add_functor<ClampMin>(table, Pointwise::ClampMin);
  add_functor<ClampMax>(table, Pointwise::ClampMax);
  add_functor<Clamp>(table, Pointwise::Clamp);
  add_functor<Where>(table, Pointwise::Where);
  add_functor<Lerp>(table, Pointwise::Lerp);
  add_functor<Addcmul>(table, Pointwise::Addcmul);
  add_functor<Addcdiv>(table, Pointwise::Addcdiv);
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(add_arithmetic_rows);

void add_arithmetic_rows(RowTable& table) { HWY_DYNAMIC_DISPATCH(add_arithmetic_rows)(table); }

}  // namespace taut::kernels
#endif
