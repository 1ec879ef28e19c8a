// What the ops know of each functor, and its derivatives over tensors; see Note [Functors].

#include <limits>

#include "kernels/api/scalar_math.h"
#include "kernels/elementwise/quick_gelu.h"
#include "src/ops/pointwise.h"
#include "taut/ops/ops.h"

namespace taut::ops {
namespace {

namespace functors {

using kernels::Binary;
using kernels::Derivative;
using kernels::Domain;
using kernels::kA;
using kernels::kB;
using kernels::kC;
using kernels::kY;
using kernels::Ternary;
using kernels::Unary;
// Only the derivatives are called here, with tensors, for which look-up finds taut's own functions;
// these names serve the parts of functors that are never instantiated.
using namespace kernels;  // NOLINT(google-build-using-namespace)

template <class V>
auto lit(double value) {
  if constexpr (std::is_same_v<V, Tensor>) {
    return Scalar(value);
  } else {
    return static_cast<V>(value);
  }
}

#include "kernels/elementwise/activation.inl"
#include "kernels/elementwise/arithmetic.inl"
#include "kernels/elementwise/bitwise.inl"
#include "kernels/elementwise/compare.inl"
#include "kernels/elementwise/exponential.inl"
#include "kernels/elementwise/loss.inl"
#include "kernels/elementwise/rounding.inl"
#include "kernels/elementwise/special.inl"
#include "kernels/elementwise/trigonometry.inl"

}  // namespace functors

constexpr int count_bits(unsigned bits) {
  return static_cast<int>((bits & 1) + ((bits >> 1) & 1) + ((bits >> 2) & 1) + ((bits >> 3) & 1));
}

template <class F>
F make_functor(const double* parameters) {
  if constexpr (requires { F::from(parameters); }) {
    return F::from(parameters);
  } else {
    return F{};
  }
}

template <class F, int kInput>
Tensor tensor_vjp(const double* parameters, const Tensor* x) {
  const F f = make_functor<F>(parameters);
  constexpr int kOperands = 1 + count_bits(F::needs[kInput]);
  if constexpr (kInput == 0) {
    if constexpr (kOperands == 1)
      return f.template vjp_a<Tensor>(x[0]);
    else if constexpr (kOperands == 2)
      return f.template vjp_a<Tensor>(x[0], x[1]);
    else if constexpr (kOperands == 3)
      return f.template vjp_a<Tensor>(x[0], x[1], x[2]);
    else
      return f.template vjp_a<Tensor>(x[0], x[1], x[2], x[3]);
  } else if constexpr (kInput == 1) {
    if constexpr (kOperands == 1)
      return f.template vjp_b<Tensor>(x[0]);
    else if constexpr (kOperands == 2)
      return f.template vjp_b<Tensor>(x[0], x[1]);
    else if constexpr (kOperands == 3)
      return f.template vjp_b<Tensor>(x[0], x[1], x[2]);
    else
      return f.template vjp_b<Tensor>(x[0], x[1], x[2], x[3]);
  } else {
    if constexpr (kOperands == 1)
      return f.template vjp_c<Tensor>(x[0]);
    else if constexpr (kOperands == 2)
      return f.template vjp_c<Tensor>(x[0], x[1]);
    else if constexpr (kOperands == 3)
      return f.template vjp_c<Tensor>(x[0], x[1], x[2]);
    else
      return f.template vjp_c<Tensor>(x[0], x[1], x[2], x[3]);
  }
}

template <class F>
constexpr FunctorInfo describe(const char* name) {
  FunctorInfo info{};
  info.name = name;
  info.domain = F::domain;
  info.derivative = F::derivative;
  info.arity = F::arity;
  info.passes = F::passes;
  if constexpr (F::derivative == kernels::Derivative::given) {
    for (int i = 0; i < F::arity; ++i) info.needs[i] = F::needs[i];
    info.vjp[0] = &tensor_vjp<F, 0>;
    if constexpr (F::arity > 1) info.vjp[1] = &tensor_vjp<F, 1>;
    if constexpr (F::arity > 2) info.vjp[2] = &tensor_vjp<F, 2>;
  }
  return info;
}

struct InfoTable {
  FunctorInfo entries[kernels::kPointwiseCount] = {};
};

constexpr InfoTable make_table() {
  InfoTable table;
  const auto set = [&table](Pointwise op, const FunctorInfo& info) {
    table.entries[static_cast<int>(op)] = info;
  };
#define TAUT_UNARY(name, Functor) set(Pointwise::Functor, describe<functors::Functor>(#name));
#define TAUT_ACTIVATION(name, Functor) set(Pointwise::Functor, describe<functors::Functor>(#name));
#define TAUT_PREDICATE(name, Functor) set(Pointwise::Functor, describe<functors::Functor>(#name));
#define TAUT_BINARY(name, Functor) set(Pointwise::Functor, describe<functors::Functor>(#name));
#define TAUT_COMPARE(name, Functor) set(Pointwise::Functor, describe<functors::Functor>(#name));
#define TAUT_PARAMETRIC(name, Functor) set(Pointwise::Functor, describe<functors::Functor>(#name));
#include "taut/ops/lists/activation.def"
#include "taut/ops/lists/arithmetic.def"
#include "taut/ops/lists/compare.def"
#include "taut/ops/lists/math.def"
#include "taut/ops/lists/parametric.def"
#include "taut/ops/lists/predicate.def"
#undef TAUT_UNARY
#undef TAUT_ACTIVATION
#undef TAUT_PREDICATE
#undef TAUT_BINARY
#undef TAUT_COMPARE
#undef TAUT_PARAMETRIC
  return table;
}

constexpr InfoTable kTable = make_table();

}  // namespace

const FunctorInfo& functor_info(Pointwise op) { return kTable.entries[static_cast<int>(op)]; }

}  // namespace taut::ops
