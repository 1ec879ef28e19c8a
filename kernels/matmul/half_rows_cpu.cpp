// float16 goes through the hardware's conversions where there are some; bfloat16 is shifts and
// adds, which the compiler vectorises.

#include "kernels/api/half_rows.h"
#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matmul/half_rows_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

void widen_f16(const Float16* from, float* to, int64_t n) {
  int64_t i = 0;
#if HWY_TARGET <= HWY_AVX2
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> half;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto* bits = reinterpret_cast<const hwy::float16_t*>(from);
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::PromoteTo(d, hn::LoadU(half, bits + i)), d, to + i);
  }
#endif
  for (; i < n; ++i) to[i] = from[i];
}

void narrow_f16(const float* from, Float16* to, int64_t n) {
  int64_t i = 0;
#if HWY_TARGET <= HWY_AVX2
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> half;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto* bits = reinterpret_cast<hwy::float16_t*>(to);
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::DemoteTo(half, hn::LoadU(d, from + i)), half, bits + i);
  }
#endif
  for (; i < n; ++i) to[i] = Float16(from[i]);
}

void widen_bf16(const BFloat16* from, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}

void narrow_bf16(const float* from, BFloat16* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = BFloat16(from[i]);
}

}  // namespace

HalfRowKernels half_row_kernels() {
  HalfRowKernels table;
  table.widen_f16 = widen_f16;
  table.widen_bf16 = widen_bf16;
  table.narrow_f16 = narrow_f16;
  table.narrow_bf16 = narrow_bf16;
  return table;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(half_row_kernels);

const HalfRowKernels& half_row_kernels_cpu() {
  static const HalfRowKernels table = HWY_DYNAMIC_DISPATCH(half_row_kernels)();
  return table;
}

}  // namespace taut::kernels
#endif
