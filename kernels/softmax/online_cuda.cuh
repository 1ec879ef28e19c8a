#pragma once
// The largest element and the sum of exponentials in one pass: Milakov and Gimelshein, "Online
// normalizer calculation for softmax" (2018).

#include "kernels/api/row_team.cuh"

namespace taut::kernels::cuda {

/// sum is that of exp(x - highest), of exp(x) while all are -infinity (and so 0).
template <class A>
struct MaxSum {
  A highest;
  A sum;

  __device__ static MaxSum nothing() { return {lowest<A>(), A(0)}; }

  /// Takes kCount elements; -infinity stands for none.
  template <int kCount>
  __device__ void take(const A (&x)[kCount]) {
    A next = highest;
#pragma unroll
    for (int e = 0; e < kCount; ++e) next = Max{}(next, x[e]);
    const A base = next == lowest<A>() ? A(0) : next;
    A added = A(0);
#pragma unroll
    for (int e = 0; e < kCount; ++e) added += exp(x[e] - base);
    sum = sum * rescaling(highest, next) + added;
    highest = next;
  }

  /// What a sum over `from` becomes a sum over `to` by; equal infinities have no difference.
  __device__ static A rescaling(A from, A to) { return from == to ? A(1) : exp(from - to); }
};

struct Merge {
  template <class A>
  __device__ MaxSum<A> operator()(MaxSum<A> a, MaxSum<A> b) const {
    const A highest = Max{}(a.highest, b.highest);
    return {highest, a.sum * MaxSum<A>::rescaling(a.highest, highest) +
                         b.sum * MaxSum<A>::rescaling(b.highest, highest)};
  }
  template <class T>
  __device__ static T identity() {
    return T::nothing();
  }
};

}  // namespace taut::kernels::cuda
