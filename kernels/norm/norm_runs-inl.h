// Steps over the spatial run of one channel, which group and batch norm share.

#if defined(TAUT_KERNELS_NORM_NORM_RUNS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_NORM_NORM_RUNS_INL_H_
#undef TAUT_KERNELS_NORM_NORM_RUNS_INL_H_
#else
#define TAUT_KERNELS_NORM_NORM_RUNS_INL_H_
#endif

#include "kernels/norm/norm_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

/// sum(g) and sum(g (x - mean)).
struct GradientSums {
  double grad = 0.0;
  double grad_centered = 0.0;
};

/// y = (x - mean) scale + shift.
template <class T, class A>
HWY_NOINLINE void affine_run(const T* x, int64_t n, A mean, A scale, A shift, T* y) {
  const Lanes<T> d;
  const auto center = hn::Set(d, mean), factor = hn::Set(d, scale), term = hn::Set(d, shift);
  for_vectors(d, n, [&](auto load, auto store) {
    store(hn::MulAdd(hn::Sub(load(x), center), factor, term), y);
  });
}

template <class T, class A>
HWY_NOINLINE GradientSums gradient_sums(const T* g, const T* x, int64_t n, A mean) {
  const Lanes<T> d;
  const auto center = hn::Set(d, mean);
  GradientSums total;
  for (int64_t begin = 0; begin < n; begin += kLeaf) {
    A grad, grad_centered;
    const T* g_leaf = g + begin;
    const T* x_leaf = x + begin;
    sum_run<T>(std::min(kLeaf, n - begin), grad, grad_centered, [&](auto load, auto& s0, auto& s1) {
      const auto value = load(g_leaf);
      s0 = hn::Add(s0, value);
      s1 = hn::MulAdd(value, hn::Sub(load(x_leaf), center), s1);
    });
    total.grad += static_cast<double>(grad);
    total.grad_centered += static_cast<double>(grad_centered);
  }
  return total;
}

/// grad_x = g scale + (x - mean) slope + shift.
template <class T, class A>
HWY_NOINLINE void gradient_run(const T* g, const T* x, int64_t n, A mean, A scale, A slope, A shift,
                               T* grad_x) {
  const Lanes<T> d;
  const auto center = hn::Set(d, mean), factor = hn::Set(d, scale);
  const auto tilt = hn::Set(d, slope), term = hn::Set(d, shift);
  for_vectors(d, n, [&](auto load, auto store) {
    const auto rest = hn::MulAdd(hn::Sub(load(x), center), tilt, term);
    store(hn::MulAdd(load(g), factor, rest), grad_x);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
