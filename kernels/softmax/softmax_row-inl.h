// Steps over one contiguous row that softmax and cross entropy share.

#if defined(TAUT_KERNELS_SOFTMAX_SOFTMAX_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_SOFTMAX_SOFTMAX_ROW_INL_H_
#undef TAUT_KERNELS_SOFTMAX_SOFTMAX_ROW_INL_H_
#else
#define TAUT_KERNELS_SOFTMAX_SOFTMAX_ROW_INL_H_
#endif

#include <limits>

#include "kernels/api/simd_exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

/// The largest element; of a row with NaNs any number (what follows becomes NaN by itself).
template <class T>
compute_t<T> row_max(const T* x, int64_t n) {
  using A = compute_t<T>;
  const Lanes<T> d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  constexpr A kLowest = -std::numeric_limits<A>::infinity();
  auto m0 = hn::Set(d, kLowest), m1 = m0;
  int64_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    m0 = hn::Max(load_as(d, x + i), m0);
    m1 = hn::Max(load_as(d, x + i + step), m1);
  }
  for (; i + step <= n; i += step) m0 = hn::Max(load_as(d, x + i), m0);
  if (i < n) m1 = hn::Max(load_first(d, x + i, n - i, kLowest), m1);
  return max_lanes(d, hn::Max(m0, m1));
}

/// sum(exp(x - shift)); where kStores, the terms are written to `terms` as well.
template <bool kStores, class T>
compute_t<T> row_sum_exp(const T* x, int64_t n, compute_t<T> shift, compute_t<T>* terms) {
  using A = compute_t<T>;
  const Lanes<T> d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  const auto m = hn::Set(d, shift);
  auto s0 = hn::Zero(d), s1 = s0;
  int64_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    const auto e0 = exp_nonpositive(d, hn::Sub(load_as(d, x + i), m));
    const auto e1 = exp_nonpositive(d, hn::Sub(load_as(d, x + i + step), m));
    s0 = hn::Add(s0, e0);
    s1 = hn::Add(s1, e1);
    if constexpr (kStores) {
      hn::StoreU(e0, d, terms + i);
      hn::StoreU(e1, d, terms + i + step);
    }
  }
  for (; i + step <= n; i += step) {
    const auto e = exp_nonpositive(d, hn::Sub(load_as(d, x + i), m));
    s0 = hn::Add(s0, e);
    if constexpr (kStores) hn::StoreU(e, d, terms + i);
  }
  if (i < n) {
    const A lowest = -std::numeric_limits<A>::infinity();
    const auto e = exp_nonpositive(d, hn::Sub(load_first(d, x + i, n - i, lowest), m));
    s1 = hn::Add(s1, hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(n - i)), e));
    if constexpr (kStores) store_first(d, e, terms + i, n - i);
  }
  return sum_lanes(d, hn::Add(s0, s1));
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
