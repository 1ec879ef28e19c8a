// The CPU loops of activation.inl; see kernels/elementwise/rows.h.

#include "kernels/api/simd_targets.h"
#include "kernels/elementwise/quick_gelu.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/activation_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/elementwise/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

#include "kernels/elementwise/activation.inl"

void add_activation_rows(RowTable& table) {
  add_functor<Relu>(table, Pointwise::Relu);
  add_functor<Relu6>(table, Pointwise::Relu6);
  add_functor<Selu>(table, Pointwise::Selu);
  add_functor<Silu>(table, Pointwise::Silu);
  add_functor<Mish>(table, Pointwise::Mish);
  add_functor<Hardsigmoid>(table, Pointwise::Hardsigmoid);
  add_functor<Hardswish>(table, Pointwise::Hardswish);
  add_functor<Logsigmoid>(table, Pointwise::Logsigmoid);
  add_functor<Softsign>(table, Pointwise::Softsign);
  add_functor<Tanhshrink>(table, Pointwise::Tanhshrink);
  add_functor<LeakyRelu>(table, Pointwise::LeakyRelu);
  add_functor<Elu>(table, Pointwise::Elu);
  add_functor<Celu>(table, Pointwise::Celu);
  add_functor<Gelu>(table, Pointwise::Gelu);
  add_functor<GeluTanh>(table, Pointwise::GeluTanh);
  add_functor<Hardtanh>(table, Pointwise::Hardtanh);
  add_functor<Threshold>(table, Pointwise::Threshold);
  add_functor<Softplus>(table, Pointwise::Softplus);
  add_functor<Softshrink>(table, Pointwise::Softshrink);
  add_functor<Hardshrink>(table, Pointwise::Hardshrink);
  add_functor<Logit>(table, Pointwise::Logit);
  add_functor<Prelu>(table, Pointwise::Prelu);
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(add_activation_rows);

void add_activation_rows(RowTable& table) { HWY_DYNAMIC_DISPATCH(add_activation_rows)(table); }

}  // namespace taut::kernels
#endif
