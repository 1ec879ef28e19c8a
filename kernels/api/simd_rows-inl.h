// Vectors of the type that a dtype is computed in, loaded from and stored to memory of the dtype:
// float16 and bfloat16 become float lanes on the way in and are rounded on the way out.
//   const Lanes<T> d;  store_as(d, hn::Mul(load_as(d, x), scale), y);
// Included inside every instruction set: see Note [One build, three instruction sets].

#if defined(TAUT_KERNELS_API_SIMD_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_API_SIMD_ROWS_INL_H_
#undef TAUT_KERNELS_API_SIMD_ROWS_INL_H_
#else
#define TAUT_KERNELS_API_SIMD_ROWS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "kernels/api/visit_dtype.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// As many lanes of T's compute type as a register holds.
template <class T>
using Lanes = hn::ScalableTag<compute_t<T>>;

template <class D>
using LaneOf = hn::TFromD<D>;

// Out of line: these serve the ends of rows, where inlining would only swell the loops.
template <class T, class A>
HWY_NOINLINE void widen_lanes(const T* x, int64_t count, A* lanes) {
  for (int64_t i = 0; i < count; ++i) lanes[i] = static_cast<A>(x[i]);
}
template <class T, class A>
HWY_NOINLINE void narrow_lanes(const A* lanes, int64_t count, T* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<T>(lanes[i]);
}

template <class D>
HWY_INLINE hn::Vec<D> load_as([[maybe_unused]] D d, const LaneOf<D>* x) {
  return hn::LoadU(d, x);
}

template <class D>
HWY_INLINE hn::Vec<D> load_as([[maybe_unused]] D d, const BFloat16* x) {
  const hn::Rebind<uint16_t, D> narrow;
  const hn::Rebind<uint32_t, D> wide;
  const auto bits = hn::LoadU(narrow, reinterpret_cast<const uint16_t*>(x));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(wide, bits)));
}

template <class D>
HWY_INLINE hn::Vec<D> load_as([[maybe_unused]] D d, const Float16* x) {
#if HWY_TARGET <= HWY_AVX2  // has the conversion instruction
  const hn::Rebind<hwy::float16_t, D> narrow;
  return hn::PromoteTo(d, hn::LoadU(narrow, reinterpret_cast<const hwy::float16_t*>(x)));
#else
  HWY_ALIGN float lanes[hn::MaxLanes(D())];
  widen_lanes(x, static_cast<int64_t>(hn::Lanes(d)), lanes);
  return hn::Load(d, lanes);
#endif
}

template <class D>
HWY_INLINE void store_as([[maybe_unused]] D d, hn::Vec<D> value, LaneOf<D>* y) {
  hn::StoreU(value, d, y);
}

// Round to nearest even: add 0x7fff plus the lowest bit that stays, then cut; NaN stays NaN.
template <class D>
HWY_INLINE void store_as([[maybe_unused]] D d, hn::Vec<D> value, BFloat16* y) {
  const hn::Rebind<uint16_t, D> narrow;
  const hn::Rebind<uint32_t, D> wide;
  const auto bits = hn::BitCast(wide, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(wide, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(wide, 0x7fffu)));
  const auto is_nan = hn::RebindMask(wide, hn::IsNaN(value));
  const auto kept = hn::IfThenElse(is_nan, hn::Set(wide, 0x7fc00000u), rounded);
  const hn::Rebind<int32_t, D> wide_signed;
  const auto top = hn::BitCast(wide_signed, hn::ShiftRight<16>(kept));
  hn::StoreU(hn::DemoteTo(narrow, top), narrow, reinterpret_cast<uint16_t*>(y));
}

template <class D>
HWY_INLINE void store_as([[maybe_unused]] D d, hn::Vec<D> value, Float16* y) {
#if HWY_TARGET <= HWY_AVX2
  const hn::Rebind<hwy::float16_t, D> narrow;
  hn::StoreU(hn::DemoteTo(narrow, value), narrow, reinterpret_cast<hwy::float16_t*>(y));
#else
  HWY_ALIGN float lanes[hn::MaxLanes(D())];
  hn::Store(value, d, lanes);
  narrow_lanes(lanes, static_cast<int64_t>(hn::Lanes(d)), y);
#endif
}

/// The first `count` < Lanes(d) elements; the other lanes hold `fill`.
template <class D, class T>
HWY_INLINE hn::Vec<D> load_first(D d, const T* x, int64_t count, LaneOf<D> fill) {
#if HWY_TARGET <= HWY_AVX2  // masked loads do not touch what they leave out
  if constexpr (std::is_same_v<T, LaneOf<D>>) {
    const auto mask = hn::FirstN(d, static_cast<size_t>(count));
    return hn::IfThenElse(mask, hn::MaskedLoad(mask, d, x), hn::Set(d, fill));
  }
#endif
  HWY_ALIGN LaneOf<D> lanes[hn::MaxLanes(D())];
  hn::Store(hn::Set(d, fill), d, lanes);
  widen_lanes(x, count, lanes);
  return hn::Load(d, lanes);
}

/// Writes the first `count` < Lanes(d) lanes.
template <class D, class T>
HWY_INLINE void store_first(D d, hn::Vec<D> value, T* y, int64_t count) {
#if HWY_TARGET <= HWY_AVX2
  if constexpr (std::is_same_v<T, LaneOf<D>>) {
    hn::BlendedStore(value, hn::FirstN(d, static_cast<size_t>(count)), d, y);
    return;
  }
#endif
  HWY_ALIGN LaneOf<D> lanes[hn::MaxLanes(D())];
  hn::Store(value, d, lanes);
  narrow_lanes(lanes, count, y);
}

/// Calls body(i, load, store) over [0, n) in steps of a register: load(x) reads elements i.. of a
/// row, store(value, y) writes them; at the end both keep to the row, and load fills with zero.
template <class D, class Body>
HWY_INLINE void for_vectors(D d, int64_t n, Body&& body) {
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + step <= n; i += step) {
    body([&](const auto* x) HWY_ATTR { return load_as(d, x + i); },
         [&](hn::Vec<D> value, auto* y) HWY_ATTR { store_as(d, value, y + i); });
  }
  if (i < n) {
    body([&](const auto* x) HWY_ATTR { return load_first(d, x + i, n - i, LaneOf<D>{0}); },
         [&](hn::Vec<D> value, auto* y) HWY_ATTR { store_first(d, value, y + i, n - i); });
  }
}

template <class D>
HWY_INLINE LaneOf<D> sum_lanes(D d, hn::Vec<D> v) {
  return hn::GetLane(hn::SumOfLanes(d, v));
}
template <class D>
HWY_INLINE LaneOf<D> max_lanes(D d, hn::Vec<D> v) {
  return hn::GetLane(hn::MaxOfLanes(d, v));
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
