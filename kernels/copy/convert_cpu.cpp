#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/copy/convert_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "kernels/api/convert.h"
#include "kernels/api/simd_rows-inl.h"
#include "kernels/api/visit_dtype.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class To, class From>
HWY_INLINE To convert(From x) {
  if constexpr (std::is_same_v<To, bool>) {
    return static_cast<compute_t<From>>(x) != 0;
  } else if constexpr (std::is_same_v<To, Float16> || std::is_same_v<To, BFloat16>) {
    return To(static_cast<float>(x));
  } else if constexpr (std::is_floating_point_v<To>) {
    return static_cast<To>(static_cast<compute_t<From>>(x));
  } else if constexpr (std::is_integral_v<From>) {
    return static_cast<To>(x);
  } else {
    // Through int64, where what does not fit becomes the smallest number, as x86 itself has it.
    const compute_t<From> value = static_cast<compute_t<From>>(x);
    constexpr compute_t<From> kLimit = 9223372036854775808.0f;  // 2^63
    const bool fits = value >= -kLimit && value < kLimit;
    return static_cast<To>(fits ? static_cast<int64_t>(value) : INT64_MIN);
  }
}

template <class From, class To>
void convert_loop(void* target, const void* source, int64_t n) {
  To* HWY_RESTRICT out = static_cast<To*>(target);
  const From* HWY_RESTRICT in = static_cast<const From*>(source);
  for (int64_t i = 0; i < n; ++i) out[i] = convert<To>(in[i]);
}

// Between a 16-bit float and float32, a register at a time.
template <class From, class To>
void convert_half(void* target, const void* source, int64_t n) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  To* out = static_cast<To*>(target);
  const From* in = static_cast<const From*>(source);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store_as(d, load_as(d, in + i), out + i);
  convert_loop<From, To>(out + i, in + i, n - i);
}

// From bytes to float32, a register at a time.
template <class Byte>
void widen_bytes(void* target, const void* source, int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> integers;
  const hn::Rebind<Byte, decltype(d)> bytes;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  float* out = static_cast<float*>(target);
  const Byte* in = static_cast<const Byte*>(source);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::ConvertTo(d, hn::PromoteTo(integers, hn::LoadU(bytes, in + i))), d, out + i);
  }
  convert_loop<Byte, float>(out + i, in + i, n - i);
}

struct ConvertTable {
  ConvertFn rows[kDTypeCount][kDTypeCount];
};

template <class From, class... Tos>
void fill_from(ConvertTable& table, TypeList<Tos...>) {
  ((table.rows[static_cast<int>(dtype_of<From>)][static_cast<int>(dtype_of<Tos>)] =
        &convert_loop<From, Tos>),
   ...);
}

template <class... Froms>
void fill_all(ConvertTable& table, TypeList<Froms...>) {
  (fill_from<Froms>(table, All{}), ...);
}

ConvertFn find_row(DType from, DType to) {
  static const ConvertTable table = [] {
    ConvertTable result{};
    fill_all(result, All{});
    constexpr int kSingle = static_cast<int>(DType::float32);
    constexpr int kHalf = static_cast<int>(DType::float16);
    constexpr int kBrain = static_cast<int>(DType::bfloat16);
    result.rows[static_cast<int>(DType::bool_)][kSingle] = &widen_bytes<uint8_t>;
    result.rows[static_cast<int>(DType::uint8)][kSingle] = &widen_bytes<uint8_t>;
    result.rows[static_cast<int>(DType::int8)][kSingle] = &widen_bytes<int8_t>;
    result.rows[kHalf][kSingle] = &convert_half<Float16, float>;
    result.rows[kBrain][kSingle] = &convert_half<BFloat16, float>;
    result.rows[kSingle][kHalf] = &convert_half<float, Float16>;
    result.rows[kSingle][kBrain] = &convert_half<float, BFloat16>;
    return result;
  }();
  return table.rows[static_cast<int>(from)][static_cast<int>(to)];
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {
namespace {

template <class T>
void gather_elements(void* target, const void* source, int64_t stride, int64_t n) {
  T* out = static_cast<T*>(target);
  const T* in = static_cast<const T*>(source);
  if (stride == 0) {
    std::fill_n(out, n, *in);
    return;
  }
  for (int64_t i = 0; i < n; ++i) out[i] = in[i * stride];
}

template <class T>
void scatter_elements(void* target, int64_t stride, const void* source, int64_t n) {
  T* out = static_cast<T*>(target);
  const T* in = static_cast<const T*>(source);
  for (int64_t i = 0; i < n; ++i) out[i * stride] = in[i];
}

}  // namespace

HWY_EXPORT(find_row);

ConvertFn convert_row(DType from, DType to) { return HWY_DYNAMIC_DISPATCH(find_row)(from, to); }

void gather_row(void* target, const void* source, int64_t stride, int64_t n, size_t size) {
  if (stride == 1) {
    std::memcpy(target, source, static_cast<size_t>(n) * size);
    return;
  }
  switch (size) {
    case 1: gather_elements<uint8_t>(target, source, stride, n); break;
    case 2: gather_elements<uint16_t>(target, source, stride, n); break;
    case 4: gather_elements<uint32_t>(target, source, stride, n); break;
    default: gather_elements<uint64_t>(target, source, stride, n); break;
  }
}

void scatter_row(void* target, int64_t stride, const void* source, int64_t n, size_t size) {
  if (stride == 1) {
    std::memcpy(target, source, static_cast<size_t>(n) * size);
    return;
  }
  switch (size) {
    case 1: scatter_elements<uint8_t>(target, stride, source, n); break;
    case 2: scatter_elements<uint16_t>(target, stride, source, n); break;
    case 4: scatter_elements<uint32_t>(target, stride, source, n); break;
    default: scatter_elements<uint64_t>(target, stride, source, n); break;
  }
}

}  // namespace taut::kernels
#endif
