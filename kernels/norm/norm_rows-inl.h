// What the normalisations share: sums over contiguous runs and parameters in the compute type.

#if defined(TAUT_KERNELS_NORM_NORM_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_NORM_NORM_ROWS_INL_H_
#undef TAUT_KERNELS_NORM_NORM_ROWS_INL_H_
#else
#define TAUT_KERNELS_NORM_NORM_ROWS_INL_H_
#endif

#include <algorithm>
#include <memory>

#include "kernels/api/simd_rows-inl.h"
#include "taut/base/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// Elements that one thread should at least have.
constexpr int64_t kGrain = 32768;
// Runs that are summed by lanes; longer ones are summed in double from such leaves.
constexpr int64_t kLeaf = 4096;

inline int64_t grain_of(int64_t elements) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, elements));
}

/// A parameter vector in the compute type: the caller's memory, or a converted copy.
template <class A>
class Parameter {
 public:
  Parameter(const void* values, DType dtype, int64_t n) {
    if (values == nullptr) return;
    visit_dtype(Floating{}, dtype, "norm", [&]<class P>(Tag<P>) {
      if constexpr (std::is_same_v<P, A>) {
        values_ = static_cast<const A*>(values);
      } else {
        copy_.reset(new A[static_cast<size_t>(n)]);
        for (int64_t i = 0; i < n; ++i) {
          copy_[static_cast<size_t>(i)] = static_cast<A>(static_cast<const P*>(values)[i]);
        }
        values_ = copy_.get();
      }
    });
  }
  const A* get() const { return values_; }
  explicit operator bool() const { return values_ != nullptr; }
  A at(int64_t i, A otherwise) const { return values_ != nullptr ? values_[i] : otherwise; }

 private:
  const A* values_ = nullptr;
  std::unique_ptr<A[]> copy_;
};

/// Writes n values to a parameter vector of any floating dtype; does nothing for null.
template <class A>
void write_parameter(const A* values, int64_t n, void* to, DType dtype) {
  if (to == nullptr) return;
  visit_dtype(Floating{}, dtype, "norm", [&]<class P>(Tag<P>) {
    for (int64_t i = 0; i < n; ++i) {
      static_cast<P*>(to)[i] = static_cast<P>(static_cast<compute_t<P>>(values[i]));
    }
  });
}

/// sum of term(load, i) over the n elements of runs that `load` reads, two sums at a time:
/// term(load, s0, s1) adds to both.
template <class T, class Term>
HWY_INLINE void sum_run(int64_t n, compute_t<T>& first, compute_t<T>& second, Term&& term) {
  const Lanes<T> d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  auto a0 = hn::Zero(d), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0;
  int64_t i = 0;
  for (; i + 3 * step <= n; i += 3 * step) {  // three chains of additions in flight
    term([&](const auto* x) { return load_as(d, x + i); }, a0, a1);
    term([&](const auto* x) { return load_as(d, x + i + step); }, b0, b1);
    term([&](const auto* x) { return load_as(d, x + i + 2 * step); }, c0, c1);
  }
  for_vectors(d, n - i,
              [&](auto load, auto) { term([&](const auto* x) { return load(x + i); }, a0, a1); });
  first = sum_lanes(d, hn::Add(hn::Add(a0, b0), c0));
  second = sum_lanes(d, hn::Add(hn::Add(a1, b1), c1));
}

/// Mean and sum((x - mean)^2) of a run: two passes over a leaf in the cache, leaves combined in
/// double (Chan, Golub and LeVeque 1979).
struct RunMoments {
  double count = 0.0;
  double mean = 0.0;
  double m2 = 0.0;

  void add(double n, double other_mean, double other_m2) {
    const double total = count + n;
    const double delta = other_mean - mean;
    mean += delta * (n / total);
    m2 += other_m2 + delta * delta * (count * (n / total));
    count = total;
  }
};

template <class T>
HWY_NOINLINE void add_leaf(const T* x, int64_t n, RunMoments& moments) {
  using A = compute_t<T>;
  const Lanes<T> d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * step <= n; i += 4 * step) {
    s0 = hn::Add(s0, load_as(d, x + i));
    s1 = hn::Add(s1, load_as(d, x + i + step));
    s2 = hn::Add(s2, load_as(d, x + i + 2 * step));
    s3 = hn::Add(s3, load_as(d, x + i + 3 * step));
  }
  for (; i + step <= n; i += step) s0 = hn::Add(s0, load_as(d, x + i));
  const A zero = 0;
  if (i < n) s1 = hn::Add(s1, load_first(d, x + i, n - i, zero));
  const A mean = sum_lanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))) / static_cast<A>(n);

  const auto center = hn::Set(d, mean);
  s0 = s1 = s2 = s3 = hn::Zero(d);
  const auto take = [&](auto& into, auto value) {
    const auto delta = hn::Sub(value, center);
    into = hn::MulAdd(delta, delta, into);
  };
  for (i = 0; i + 4 * step <= n; i += 4 * step) {
    take(s0, load_as(d, x + i));
    take(s1, load_as(d, x + i + step));
    take(s2, load_as(d, x + i + 2 * step));
    take(s3, load_as(d, x + i + 3 * step));
  }
  for (; i + step <= n; i += step) take(s0, load_as(d, x + i));
  if (i < n) take(s1, load_first(d, x + i, n - i, mean));
  const A m2 = sum_lanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
  moments.add(static_cast<double>(n), static_cast<double>(mean), static_cast<double>(m2));
}

template <class T>
RunMoments run_moments(const T* x, int64_t n) {
  RunMoments moments;
  for (int64_t i = 0; i < n; i += kLeaf) add_leaf(x + i, std::min(kLeaf, n - i), moments);
  return moments;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
