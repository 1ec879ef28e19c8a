#pragma once
// Sums that come in pairs, and moments that merge without losing digits: Chan, Golub and LeVeque,
// "Updating formulae and a pairwise algorithm for computing sample variances" (1979).

namespace taut::kernels::cuda {

template <class A>
struct Moments {
  A count;
  A mean;
  A m2;  // the sum of (x - mean)^2

  __device__ static Moments none() { return {A(0), A(0), A(0)}; }

  /// Of the first `count` of some values, one at least.
  template <int kCount>
  __device__ static Moments of(const A (&x)[kCount], int count) {
    A sum = 0;
#pragma unroll
    for (int e = 0; e < kCount; ++e) sum += e < count ? x[e] : A(0);
    const A mean = sum / static_cast<A>(count);
    A m2 = 0;
#pragma unroll
    for (int e = 0; e < kCount; ++e) m2 += e < count ? (x[e] - mean) * (x[e] - mean) : A(0);
    return {static_cast<A>(count), mean, m2};
  }
};

struct MergeMoments {
  template <class A>
  __device__ Moments<A> operator()(Moments<A> a, Moments<A> b) const {
    const A count = a.count + b.count;
    if (count == A(0)) return a;
    const A share = b.count / count;
    const A delta = b.mean - a.mean;
    return {count, a.mean + delta * share, a.m2 + b.m2 + delta * delta * a.count * share};
  }
  template <class T>
  __device__ static T identity() {
    return T::none();
  }
};

template <class A>
struct SumPair {
  A first;
  A second;
};

struct AddPairs {
  template <class A>
  __device__ SumPair<A> operator()(SumPair<A> a, SumPair<A> b) const {
    return {a.first + b.first, a.second + b.second};
  }
  template <class T>
  __device__ static T identity() {
    return {0, 0};
  }
};

}  // namespace taut::kernels::cuda
