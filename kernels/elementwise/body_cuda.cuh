#pragma once
// What a CUDA kernel computes from its operands: a functor, or a derivative of it.

#include "kernels/api/functor.h"
#include "kernels/api/scalar_math.h"

namespace taut::kernels::cuda {

template <class F>
F make_functor(const double* parameters) {
  if constexpr (requires { F::from(parameters); }) {
    return F::from(parameters);
  } else {
    return F{};
  }
}

constexpr int count_bits(unsigned bits) {
  return static_cast<int>((bits & 1) + ((bits >> 1) & 1) + ((bits >> 2) & 1) + ((bits >> 3) & 1));
}

/// kDerivative 0 is the functor itself, i its derivative by input i. kToBool: computes in uint8
/// what bool is computed in, so that 1 + 1 is true.
template <class F, int kDerivative, bool kToBool = false>
struct Body {
  F functor;

  static constexpr int operands() {
    if constexpr (kDerivative == 0)
      return F::arity;
    else
      return 1 + count_bits(F::needs[kDerivative - 1]);
  }
  static constexpr bool gives_bool = kToBool || (kDerivative == 0 && F::domain == Domain::compare);

  template <class T>
  __device__ auto operator()(const T* x) const {
    if constexpr (operands() == 1)
      return call<T>(x[0]);
    else if constexpr (operands() == 2)
      return call<T>(x[0], x[1]);
    else if constexpr (operands() == 3)
      return call<T>(x[0], x[1], x[2]);
    else
      return call<T>(x[0], x[1], x[2], x[3]);
  }

 private:
  template <class T, class... Operands>
  __device__ auto call(Operands... x) const {
    if constexpr (kDerivative == 0)
      return functor(x...);
    else if constexpr (kDerivative == 1)
      return functor.template vjp_a<T>(x...);
    else if constexpr (kDerivative == 2)
      return functor.template vjp_b<T>(x...);
    else
      return functor.template vjp_c<T>(x...);
  }
};

}  // namespace taut::kernels::cuda
