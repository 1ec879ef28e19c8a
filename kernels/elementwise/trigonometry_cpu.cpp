// The CPU loops of trigonometry.inl; see kernels/elementwise/rows.h.

#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/trigonometry_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/elementwise/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

#include "kernels/elementwise/trigonometry.inl"

void add_trigonometry_rows(RowTable& table) {
  add_functor<Sin>(table, Pointwise::Sin);
  add_functor<Cos>(table, Pointwise::Cos);
  add_functor<Tan>(table, Pointwise::Tan);
  add_functor<Asin>(table, Pointwise::Asin);
  add_functor<Acos>(table, Pointwise::Acos);
  add_functor<Atan>(table, Pointwise::Atan);
  add_functor<Sinh>(table, Pointwise::Sinh);
  add_functor<Cosh>(table, Pointwise::Cosh);
  add_functor<Tanh>(table, Pointwise::Tanh);
  add_functor<Asinh>(table, Pointwise::Asinh);
  add_functor<Acosh>(table, Pointwise::Acosh);
  add_functor<Atanh>(table, Pointwise::Atanh);
  add_functor<Sinc>(table, Pointwise::Sinc);
  add_functor<Atan2>(table, Pointwise::Atan2);
  add_functor<Hypot>(table, Pointwise::Hypot);
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(add_trigonometry_rows);

void add_trigonometry_rows(RowTable& table) { HWY_DYNAMIC_DISPATCH(add_trigonometry_rows)(table); }

}  // namespace taut::kernels
#endif
