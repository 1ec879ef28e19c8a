// The CPU loops of bitwise.inl; see kernels/elementwise/rows.h.

#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/bitwise_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/elementwise/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

#include "kernels/elementwise/bitwise.inl"

void add_bitwise_rows(RowTable& table) {
  add_functor<BitwiseAnd>(table, Pointwise::BitwiseAnd);
  add_functor<BitwiseOr>(table, Pointwise::BitwiseOr);
  add_functor<BitwiseXor>(table, Pointwise::BitwiseXor);
  add_functor<BitwiseLeftShift>(table, Pointwise::BitwiseLeftShift);
  add_functor<BitwiseRightShift>(table, Pointwise::BitwiseRightShift);
  add_functor<Gcd>(table, Pointwise::Gcd);
  add_functor<Lcm>(table, Pointwise::Lcm);
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(add_bitwise_rows);

void add_bitwise_rows(RowTable& table) { HWY_DYNAMIC_DISPATCH(add_bitwise_rows)(table); }

}  // namespace taut::kernels
#endif
