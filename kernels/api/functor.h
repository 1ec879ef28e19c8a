#pragma once
// What the functors of kernels/elementwise/*.inl are made of.
//
// Note [Functors]
// A functor is an elementwise function and its derivative, written once:
//   struct Sigmoid : Unary {
//     static constexpr Domain domain = Domain::floating;
//     static constexpr unsigned needs[] = {kY};   // what the derivative by input a reads
//     template <class T> TAUT_HD T operator()(T x) const { ... }
//     template <class V> TAUT_HD V vjp_a(V g, V y) const { return g * y * (lit<V>(1) - y); }
//   };
// T and V are a SIMD vector or a scalar on the CPU, a scalar on CUDA, and V is Tensor when the
// derivative must itself be differentiated. The derivative takes the gradient g, then those of a,
// b, c and y that `needs` names. A functor with parameters holds them and has `static from(const
// double*)`. The .inl files are included inside a namespace: once for ops and CUDA, and once for
// each instruction set in the CPU kernels, so they include nothing themselves. Whoever includes
// them defines lit<V>(x), the constant x as a V (a Scalar where V is Tensor).

#include <cstdint>

#include "taut/base/macros.h"

namespace taut::kernels {

/// Which dtypes a functor computes in.
enum class Domain : uint8_t {
  floating,    // floats; integers and bool become the default float
  arithmetic,  // floats, integers and bool
  numeric,     // floats and integers; bool is refused
  integral,    // integers and bool
  integer,     // integers only
  compare,     // any dtype in, bool out
};

/// Operands that a derivative reads.
inline constexpr unsigned kA = 1, kB = 2, kC = 4, kY = 8;

enum class Derivative : uint8_t {
  given,  // by vjp_a, vjp_b, vjp_c
  zero,   // zero everywhere it exists
  none,   // there is none
};

struct Unary {
  static constexpr int arity = 1;
  static constexpr Derivative derivative = Derivative::given;
  /// The inputs (kA, kB, kC) that get the gradient unchanged.
  static constexpr unsigned passes = 0;
  /// Whether T may be a SIMD vector; otherwise the kernel calls it element by element.
  static constexpr bool vectorized = true;
};
struct Binary : Unary {
  static constexpr int arity = 2;
};
struct Ternary : Unary {
  static constexpr int arity = 3;
};

}  // namespace taut::kernels
