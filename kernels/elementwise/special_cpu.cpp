// The CPU loops of special.inl; see kernels/elementwise/rows.h.

#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/special_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/elementwise/rows-inl.h"
#include "kernels/elementwise/special_math.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

#include "kernels/elementwise/special.inl"

void add_special_rows(RowTable& table) {
  add_functor<Erf>(table, Pointwise::Erf);
  add_functor<Erfc>(table, Pointwise::Erfc);
  add_functor<Erfinv>(table, Pointwise::Erfinv);
  add_functor<Lgamma>(table, Pointwise::Lgamma);
  add_functor<Digamma>(table, Pointwise::Digamma);
  add_functor<Polygamma>(table, Pointwise::Polygamma);
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(add_special_rows);

void add_special_rows(RowTable& table) { HWY_DYNAMIC_DISPATCH(add_special_rows)(table); }

}  // namespace taut::kernels
#endif
