#include "tests/ops/op_cases.h"

namespace taut::testing {
namespace {

// Where a function of one tensor is smooth and defined.
struct Range {
  double low = -2, high = 2, away_from_zero = 0.05;
};

Range range_of(const std::string& name) {
  for (const char* positive : {"log", "log10", "log2", "sqrt", "rsqrt", "lgamma", "digamma"}) {
    if (name == positive) return {0.2, 3};
  }
  if (name == "reciprocal") return {0.3, 3};
  if (name == "log1p") return {-0.5, 2};
  if (name == "acosh") return {1.2, 3};
  for (const char* unit : {"asin", "acos", "atanh", "erfinv"}) {
    if (name == unit) return {-0.8, 0.8};
  }
  if (name == "tan") return {-1.2, 1.2};
  for (const char* steps : {"floor", "ceil", "trunc", "frac"}) {
    if (name == steps) return {0.1, 0.9};
  }
  return {};
}

OpCase unary(const std::string& name, Tensor (*function)(const Tensor&)) {
  const Range range = range_of(name);
  return {name,
          [range] { return Tensors{draw({3, 4}, range.low, range.high, range.away_from_zero)}; },
          [function](TensorList in) { return Tensors{function(in[0])}; }};
}

using BinaryFunction = Tensor (*)(const Tensor&, const Tensor&);

OpCase binary(const std::string& name, BinaryFunction function, double low = 0.3,
              double high = 2.5) {
  return {name, [low, high] { return Tensors{draw({3, 4}, low, high), draw({4}, low, high)}; },
          [function](TensorList in) { return Tensors{function(in[0], in[1])}; }};
}

bool is_for_integers(const std::string& name) {
  for (const char* integer : {"bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift",
                              "bitwise_right_shift", "gcd", "lcm"}) {
    if (name == integer) return true;
  }
  return false;
}

OpCase with_one(const std::string& name, Callback<Tensor(const Tensor&)> function, double low = -2,
                double high = 2, double away_from_zero = 0.05) {
  return {name, [=] { return Tensors{draw({3, 4}, low, high, away_from_zero)}; },
          [function](TensorList in) { return Tensors{function(in[0])}; }};
}

void add_lists(std::vector<OpCase>& cases) {
#define TAUT_UNARY(name, Functor) cases.push_back(unary(#name, &taut::name));
#include "taut/ops/lists/math.def"
#undef TAUT_UNARY
#define TAUT_ACTIVATION(name, Functor) cases.push_back(unary(#name, &nn::functional::name));
#include "taut/ops/lists/activation.def"
#undef TAUT_ACTIVATION
#define TAUT_PREDICATE(name, Functor)         \
  cases.push_back(unary(#name, &taut::name)); \
  cases.back().has_gradient = false;
#include "taut/ops/lists/predicate.def"
#undef TAUT_PREDICATE
#define TAUT_COMPARE(name, Functor)                                         \
  cases.push_back(binary(#name, static_cast<BinaryFunction>(&taut::name))); \
  cases.back().has_gradient = false;
#include "taut/ops/lists/compare.def"
#undef TAUT_COMPARE
#define TAUT_BINARY(name, Functor)                                            \
  if (!is_for_integers(#name)) {                                              \
    cases.push_back(binary(#name, static_cast<BinaryFunction>(&taut::name))); \
  }
#include "taut/ops/lists/arithmetic.def"
#undef TAUT_BINARY
  for (OpCase& op : cases) {
    if (op.name == "heaviside") op.has_gradient = false;
    // A quotient near an integer lands on either side of it.
    if (op.name == "floor_divide" || op.name == "remainder" || op.name == "fmod") {
      op.all_floating_dtypes = false;
      op.inputs = [] { return Tensors{draw({3, 4}, 5.1, 5.4), draw({4}, 2.1, 2.4)}; };
    }
    if (op.name == "pow" || op.name == "lgamma" || op.name == "digamma" || op.name == "sinh" ||
        op.name == "cosh" || op.name == "tan" || op.name == "erfinv") {
      op.tolerance_factor = 4;
    }
  }
}

}  // namespace

std::vector<OpCase> pointwise_cases() {
  namespace F = nn::functional;
  std::vector<OpCase> cases;
  add_lists(cases);
  cases.push_back(binary("add", [](const Tensor& a, const Tensor& b) { return add(a, b, 1.5); }));
  cases.push_back(binary("sub", [](const Tensor& a, const Tensor& b) { return sub(a, b, 0.5); }));
  cases.push_back(binary("rsub", [](const Tensor& a, const Tensor& b) { return rsub(a, b); }));
  cases.push_back(binary("div", [](const Tensor& a, const Tensor& b) { return div(a, b); }));
  cases.push_back(with_one("add scalar", [](const Tensor& x) { return x + 2.5; }));
  cases.push_back(with_one("mul scalar", [](const Tensor& x) { return 3 * x; }));
  cases.push_back(with_one("scalar divided", [](const Tensor& x) { return 1.5 / x; }, 0.5, 2));
  cases.push_back(with_one("pow scalar", [](const Tensor& x) { return pow(x, 3); }));
  cases.push_back(with_one("scalar to the power", [](const Tensor& x) { return pow(2.0, x); }));
  cases.push_back(with_one("clamp", [](const Tensor& x) { return clamp(x, -1.01, 1.02); }));
  cases.push_back(with_one("clamp below", [](const Tensor& x) { return clamp(x, -0.51); }));
  cases.push_back(with_one("round", [](const Tensor& x) { return round(x); }, 0.1, 0.4));
  cases.push_back(
      with_one("round decimals", [](const Tensor& x) { return round(x, 1); }, 0.11, 0.14));
  cases.back().all_floating_dtypes = false;
  cases.push_back(with_one("nan_to_num", [](const Tensor& x) { return nan_to_num(x); }));
  cases.push_back(with_one("logit", [](const Tensor& x) { return logit(x, 1e-3); }, 0.1, 0.9));
  cases.push_back(with_one("polygamma", [](const Tensor& x) { return polygamma(1, x); }, 0.5, 3));
  cases.back().tolerance_factor = 8;
  cases.push_back(with_one("positive", [](const Tensor& x) { return positive(x) * 1.0; }));
  cases.push_back(with_one("leaky_relu", [](const Tensor& x) { return F::leaky_relu(x, 0.2); }));
  cases.push_back(with_one("elu", [](const Tensor& x) { return F::elu(x, 1.3); }));
  cases.push_back(with_one("celu", [](const Tensor& x) { return F::celu(x, 1.3); }));
  cases.push_back(with_one("gelu", [](const Tensor& x) { return F::gelu(x); }));
  cases.push_back(with_one("gelu tanh", [](const Tensor& x) { return F::gelu(x, "tanh"); }));
  cases.push_back(
      with_one("hardtanh", [](const Tensor& x) { return F::hardtanh(x, -1.01, 1.01); }));
  cases.push_back(with_one("threshold", [](const Tensor& x) { return F::threshold(x, 0.01, -3); }));
  cases.push_back(
      with_one("softplus", [](const Tensor& x) { return F::softplus(x, 2.0, 3.0); }, -1, 1));
  cases.push_back(with_one("softshrink", [](const Tensor& x) { return F::softshrink(x, 0.02); }));
  cases.push_back(with_one("hardshrink", [](const Tensor& x) { return F::hardshrink(x, 0.02); }));
  cases.push_back({"prelu",
                   [] { return Tensors{draw({2, 3, 2}, -2, 2, 0.05), draw({3}, 0.1, 0.5)}; },
                   [](TensorList in) { return Tensors{F::prelu(in[0], in[1])}; }});
  cases.push_back({"where",
                   [] { return Tensors{draw({3, 4}), draw({4}), draw_indices({3, 1}, 2)}; },
                   [](TensorList in) { return Tensors{where(ne(in[2], 0), in[0], in[1])}; }});
  cases.push_back({"masked_fill", [] { return Tensors{draw({3, 4}), draw_indices({4}, 2)}; },
                   [](TensorList in) { return Tensors{masked_fill(in[0], ne(in[1], 0), 1.5)}; }});
  cases.push_back({"lerp", [] { return Tensors{draw({3, 4}), draw({3, 4}), draw({4}, 0.6, 0.9)}; },
                   [](TensorList in) { return Tensors{lerp(in[0], in[1], in[2])}; }});
  cases.push_back({"addcmul", [] { return Tensors{draw({3, 4}), draw({4}), draw({3, 1})}; },
                   [](TensorList in) { return Tensors{addcmul(in[0], in[1], in[2], 0.5)}; }});
  cases.push_back({"addcdiv", [] { return Tensors{draw({3, 4}), draw({4}), draw({3, 1}, 0.5, 2)}; },
                   [](TensorList in) { return Tensors{addcdiv(in[0], in[1], in[2], 0.5)}; }});
  cases.push_back({"clamp tensors",
                   [] { return Tensors{draw({3, 4}), draw({4}, -1, -0.5), draw({4}, 0.5, 1)}; },
                   [](TensorList in) { return Tensors{clamp(in[0], in[1], in[2])}; }});
  cases.push_back({"mul in place", [] { return Tensors{draw({3, 4}), draw({4})}; },
                   [](TensorList in) {
                     const Tensor x = in[0] * 1.0;
                     x.mul_(in[1]);
                     return Tensors{x};
                   }});
  cases.push_back({"in place on views", [] { return Tensors{draw({3, 4})}; },
                   [](TensorList in) {
                     const Tensor x = in[0] * 1.0;
                     x[1].mul_(-3.0);
                     x.slice(1, 1, 3).add_(in[0].slice(1, 0, 2));
                     x.view({-1})[2].sigmoid_();
                     return Tensors{x};
                   }});
  cases.push_back({"to", [] { return Tensors{draw({3, 4})}; },
                   [](TensorList in) { return Tensors{in[0].to(kFloat64, true)}; }});
  cases.push_back({"clone", [] { return Tensors{draw({3, 4})}; },
                   [](TensorList in) { return Tensors{in[0].clone()}; }});
  cases.push_back({"copy_", [] { return Tensors{draw({3, 4}), draw({4})}; },
                   [](TensorList in) {
                     const Tensor x = in[0] * 2.0;
                     x[1].copy_(in[1]);
                     return Tensors{x};
                   }});
  return cases;
}

}  // namespace taut::testing
