#include <limits>

#include "tests/ops/op_cases.h"

namespace taut::testing {
namespace {

OpCase reduction(const std::string& name, Callback<Tensor(const Tensor&)> function) {
  return {name, [] { return Tensors{draw_distinct({3, 4, 2})}; },
          [function](TensorList in) { return Tensors{function(in[0])}; }};
}

}  // namespace

std::vector<OpCase> reduction_cases() {
  std::vector<OpCase> cases;
  cases.push_back(reduction("sum", [](const Tensor& x) { return sum(x); }));
  cases.push_back(reduction("sum dims", [](const Tensor& x) { return sum(x, {0, -1}, true); }));
  cases.push_back(reduction("nansum", [](const Tensor& x) { return nansum(x, {1}); }));
  cases.push_back(reduction("mean", [](const Tensor& x) { return mean(x); }));
  cases.push_back(reduction("mean dims", [](const Tensor& x) { return mean(x, {1}); }));
  cases.push_back(reduction("nanmean", [](const Tensor& x) { return nanmean(x, {1}); }));
  cases.push_back({"prod", [] { return Tensors{draw({2, 4}, 0.5, 1.5)}; },
                   [](TensorList in) { return Tensors{prod(in[0], 1), prod(in[0])}; }});
  cases.push_back({"prod with a zero",
                   [] {
                     const Tensor x = draw({2, 3}, 0.5, 1.5);
                     const NoGradGuard no_grad;
                     x[0][1].zero_();
                     return Tensors{x};
                   },
                   [](TensorList in) { return Tensors{prod(in[0], 1, true)}; }});
  cases.push_back(reduction("var", [](const Tensor& x) { return var(x, {1}); }));
  cases.push_back(reduction("var all", [](const Tensor& x) { return var(x, {}, 0.0); }));
  cases.push_back(reduction("std", [](const Tensor& x) { return std(x, {0, 2}, 1, true); }));
  cases.push_back({"var_mean", [] { return Tensors{draw({3, 4})}; },
                   [](TensorList in) {
                     auto [v, m] = var_mean(in[0], {1});
                     return Tensors{v, m};
                   }});
  cases.push_back({"std_mean", [] { return Tensors{draw({3, 4})}; },
                   [](TensorList in) {
                     auto [s, m] = std_mean(in[0], {0});
                     return Tensors{s, m};
                   }});
  cases.push_back(reduction("amax", [](const Tensor& x) { return amax(x, {0, 1}); }));
  cases.push_back(reduction("amin", [](const Tensor& x) { return amin(x, {2}, true); }));
  cases.push_back(reduction("max", [](const Tensor& x) { return max(x); }));
  cases.push_back(reduction("min", [](const Tensor& x) { return min(x); }));
  cases.push_back(reduction("max dim", [](const Tensor& x) { return max(x, 1).first; }));
  cases.push_back(reduction("min dim", [](const Tensor& x) { return min(x, 0, true).first; }));
  cases.push_back({"aminmax", [] { return Tensors{draw_distinct({3, 4})}; },
                   [](TensorList in) {
                     auto [low, high] = aminmax(in[0], 1);
                     return Tensors{low, high};
                   }});
  cases.push_back(reduction("argmax", [](const Tensor& x) { return argmax(x, 1); }));
  cases.push_back(reduction("argmin", [](const Tensor& x) { return argmin(x); }));
  cases.push_back(reduction("any", [](const Tensor& x) { return any(x > 0, {1}); }));
  cases.push_back(reduction("all", [](const Tensor& x) { return all(x > 0, {0, 2}); }));
  cases.push_back(
      reduction("count_nonzero", [](const Tensor& x) { return count_nonzero(x, {1}); }));
  for (const char* name : {"argmax", "argmin", "any", "all", "count_nonzero"}) {
    for (OpCase& op : cases) {
      if (op.name == name) op.has_gradient = false;
    }
  }
  cases.push_back(reduction("logsumexp", [](const Tensor& x) { return logsumexp(x, {1}); }));
  cases.push_back(reduction("norm", [](const Tensor& x) { return norm(x); }));
  for (double p : {0.0, 1.0, 2.0, 3.0, std::numeric_limits<double>::infinity(),
                   -std::numeric_limits<double>::infinity()}) {
    cases.push_back(reduction(concat("vector_norm ", p),
                              [p](const Tensor& x) { return linalg::vector_norm(x, p, {0, 1}); }));
  }
  cases.push_back({"dist", [] { return Tensors{draw({3, 4}), draw({4}, 3, 5)}; },
                   [](TensorList in) { return Tensors{dist(in[0], in[1], 3.0)}; }});
  cases.push_back(reduction("sum_to_size", [](const Tensor& x) { return sum_to_size(x, {4, 1}); }));
  return cases;
}

}  // namespace taut::testing
