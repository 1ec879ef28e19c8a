// Steps over one contiguous row that softmax and cross entropy share.

#if defined(TAUT_KERNELS_SOFTMAX_SOFTMAX_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_SOFTMAX_SOFTMAX_ROW_INL_H_
#undef TAUT_KERNELS_SOFTMAX_SOFTMAX_ROW_INL_H_
#else
#define TAUT_KERNELS_SOFTMAX_SOFTMAX_ROW_INL_H_
#endif

#include <hwy/cache_control.h>

#include <limits>

#include "kernels/api/simd_exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// Rows of at most so many bytes are fetched while the row before is worked on.
constexpr int64_t kFetchedRow = 16 << 10;

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

template <class T>
bool has_nan(const T* x, int64_t n) {
  const Lanes<T> d;
  auto all = hn::Eq(hn::Zero(d), hn::Zero(d));
  for_vectors(d, n, [&](auto load, auto) { all = hn::AndNot(hn::IsNaN(load(x)), all); });
  return !hn::AllTrue(d, all);
}

struct NothingBeside {
  HWY_INLINE void operator()(int64_t) const {}
};

/// sum(exp(x - shift)), NaN iff there is one among them; where kStores, the terms are written to
/// `terms` as well, with any number for a NaN. beside(i) is called for each whole register, of the
/// elements from i on: there is time beside exponentials for work that waits for memory.
template <bool kStores, class T, class Beside = NothingBeside>
compute_t<T> row_sum_exp(const T* x, int64_t n, compute_t<T> shift, compute_t<T>* terms,
                         const Beside& beside = {}) {
  using A = compute_t<T>;
  const Lanes<T> d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  const auto m = hn::Set(d, shift);
  // Exponentials leave time for memory, which the passes before and after them do not.
  const bool fetches_next = n * static_cast<int64_t>(sizeof(T)) <= kFetchedRow;
  auto s0 = hn::Zero(d), s1 = s0;
  auto all_normal = hn::Eq(s0, s0);
  const auto term = [&](hn::Vec<Lanes<T>> value) HWY_ATTR {
    const auto centered = hn::Sub(value, m);
    if constexpr (sizeof(A) == 8) {
      return exp_any(d, centered);
    } else {  // what becomes of a NaN is settled for the row as a whole
      const auto is_normal = has_normal_exp(d, centered);
      all_normal = hn::And(all_normal, is_normal);
      return exp_where(d, is_normal, centered);
    }
  };
  int64_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    if (fetches_next) {
      hwy::Prefetch(x + n + i);
      hwy::Prefetch(x + n + i + step);
    }
    beside(i);
    beside(i + step);
    const auto e0 = term(load_as(d, x + i));
    const auto e1 = term(load_as(d, x + i + step));
    s0 = hn::Add(s0, e0);
    s1 = hn::Add(s1, e1);
    if constexpr (kStores) {
      hn::StoreU(e0, d, terms + i);
      hn::StoreU(e1, d, terms + i + step);
    }
  }
  for (; i + step <= n; i += step) {
    beside(i);
    const auto e = term(load_as(d, x + i));
    s0 = hn::Add(s0, e);
    if constexpr (kStores) hn::StoreU(e, d, terms + i);
  }
  if (i < n) {
    const auto e = term(load_first(d, x + i, n - i, shift));
    s1 = hn::Add(s1, hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(n - i)), e));
    if constexpr (kStores) store_first(d, e, terms + i, n - i);
  }
  if (sizeof(A) == 4 && !hn::AllTrue(d, all_normal)) {
    // Where every element is -inf, or one is +inf, inf - inf is among the terms.
    const bool has_infinite_shift = shift - shift != A(0);
    if (has_infinite_shift || has_nan(x, n)) return std::numeric_limits<A>::quiet_NaN();
  }
  return sum_lanes(d, hn::Add(s0, s1));
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
