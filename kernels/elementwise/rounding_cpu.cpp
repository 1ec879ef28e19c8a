// The CPU loops of rounding.inl; see kernels/elementwise/rows.h.

#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/rounding_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/elementwise/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

#include "kernels/elementwise/rounding.inl"

void add_rounding_rows(RowTable& table) {
  add_functor<Floor>(table, Pointwise::Floor);
  add_functor<Ceil>(table, Pointwise::Ceil);
  add_functor<Trunc>(table, Pointwise::Trunc);
  add_functor<Frac>(table, Pointwise::Frac);
  add_functor<Round>(table, Pointwise::Round);
  add_functor<NanToNum>(table, Pointwise::NanToNum);
  add_functor<Copysign>(table, Pointwise::Copysign);
  add_functor<Heaviside>(table, Pointwise::Heaviside);
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(add_rounding_rows);

void add_rounding_rows(RowTable& table) { HWY_DYNAMIC_DISPATCH(add_rounding_rows)(table); }

}  // namespace taut::kernels
#endif
