// The CPU loops of loss.inl; see kernels/elementwise/rows.h.

#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/loss_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/elementwise/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

#include "kernels/elementwise/loss.inl"

void add_loss_rows(RowTable& table) {
  add_functor<SquaredError>(table, Pointwise::SquaredError);
  add_functor<AbsoluteError>(table, Pointwise::AbsoluteError);
  add_functor<SmoothL1>(table, Pointwise::SmoothL1);
  add_functor<Huber>(table, Pointwise::Huber);
  add_functor<BinaryCrossEntropy>(table, Pointwise::BinaryCrossEntropy);
  add_functor<BinaryCrossEntropyWithLogits>(table, Pointwise::BinaryCrossEntropyWithLogits);
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(add_loss_rows);

void add_loss_rows(RowTable& table) { HWY_DYNAMIC_DISPATCH(add_loss_rows)(table); }

}  // namespace taut::kernels
#endif
