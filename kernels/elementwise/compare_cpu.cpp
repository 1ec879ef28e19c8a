// The CPU loops of compare.inl; see kernels/elementwise/rows.h.

#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/compare_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/elementwise/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

#include "kernels/elementwise/compare.inl"

void add_compare_rows(RowTable& table) {
  add_functor<Isnan>(table, Pointwise::Isnan);
  add_functor<Isinf>(table, Pointwise::Isinf);
  add_functor<Isfinite>(table, Pointwise::Isfinite);
  add_functor<Isposinf>(table, Pointwise::Isposinf);
  add_functor<Isneginf>(table, Pointwise::Isneginf);
  add_functor<Signbit>(table, Pointwise::Signbit);
  add_functor<LogicalNot>(table, Pointwise::LogicalNot);
  add_functor<Eq>(table, Pointwise::Eq);
  add_functor<Ne>(table, Pointwise::Ne);
  add_functor<Lt>(table, Pointwise::Lt);
  add_functor<Le>(table, Pointwise::Le);
  add_functor<Gt>(table, Pointwise::Gt);
  add_functor<Ge>(table, Pointwise::Ge);
  add_functor<LogicalAnd>(table, Pointwise::LogicalAnd);
  add_functor<LogicalOr>(table, Pointwise::LogicalOr);
  add_functor<LogicalXor>(table, Pointwise::LogicalXor);
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(add_compare_rows);

void add_compare_rows(RowTable& table) { HWY_DYNAMIC_DISPATCH(add_compare_rows)(table); }

}  // namespace taut::kernels
#endif
