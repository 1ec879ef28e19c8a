#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/copy/streaming_cpu.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "kernels/api/streaming.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void stream(uint8_t* target, const uint8_t* source, int64_t bytes) {
  const hn::ScalableTag<uint8_t> d;
  constexpr int64_t kLine = 64;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  const int64_t head = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(target) % kLine);
  int64_t i = std::min(head, bytes);
  std::memcpy(target, source, static_cast<size_t>(i));
  for (; i + kLine <= bytes; i += kLine) {
    for (int64_t k = 0; k < kLine; k += step) {
      hn::Stream(hn::LoadU(d, source + i + k), d, target + i + k);
    }
  }
  std::memcpy(target + i, source + i, static_cast<size_t>(bytes - i));
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(stream);

void stream_bytes(void* target, const void* source, int64_t bytes) {
  HWY_DYNAMIC_DISPATCH(stream)
  (static_cast<uint8_t*>(target), static_cast<const uint8_t*>(source), bytes);
}

void finish_streams() { hwy::FlushStream(); }

}  // namespace taut::kernels
#endif
