// The CPU loops of exponential.inl; see kernels/elementwise/rows.h.

#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/exponential_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/elementwise/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

#include "kernels/elementwise/exponential.inl"

void add_exponential_rows(RowTable& table) {
  add_functor<Exp>(table, Pointwise::Exp);
  add_functor<Exp2>(table, Pointwise::Exp2);
  add_functor<Expm1>(table, Pointwise::Expm1);
  add_functor<Log>(table, Pointwise::Log);
  add_functor<Log10>(table, Pointwise::Log10);
  add_functor<Log1p>(table, Pointwise::Log1p);
  add_functor<Log2>(table, Pointwise::Log2);
  add_functor<Sigmoid>(table, Pointwise::Sigmoid);
  add_functor<Pow>(table, Pointwise::Pow);
  add_functor<Xlogy>(table, Pointwise::Xlogy);
  add_functor<Logaddexp>(table, Pointwise::Logaddexp);
  add_functor<Logaddexp2>(table, Pointwise::Logaddexp2);
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(add_exponential_rows);

void add_exponential_rows(RowTable& table) { HWY_DYNAMIC_DISPATCH(add_exponential_rows)(table); }

}  // namespace taut::kernels
#endif
