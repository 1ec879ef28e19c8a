#include "tests/ops/op_cases.h"

namespace taut::testing {

std::vector<OpCase> order_cases() {
  std::vector<OpCase> cases;
  const auto distinct = [&](const std::string& name, Callback<Tensors(const Tensor&)> function) {
    cases.push_back({name, [] { return Tensors{draw_distinct({3, 5, 2})}; },
                     [function](TensorList in) { return function(in[0]); }});
  };
  const auto both = [](const std::pair<Tensor, Tensor>& result) {
    return Tensors{result.first, result.second};
  };
  distinct("sort", [both](const Tensor& x) { return both(sort(x, 1)); });
  distinct("sort descending", [both](const Tensor& x) { return both(sort(x, 0, true)); });
  distinct("argsort", [](const Tensor& x) { return Tensors{argsort(x, 1)}; });
  distinct("msort", [](const Tensor& x) { return Tensors{msort(x)}; });
  distinct("topk", [both](const Tensor& x) { return both(topk(x, 3, 1)); });
  distinct("topk smallest", [both](const Tensor& x) { return both(topk(x, 2, 1, false)); });
  distinct("kthvalue", [both](const Tensor& x) { return both(kthvalue(x, 2, 1)); });
  distinct("median", [](const Tensor& x) { return Tensors{median(x)}; });
  distinct("median dim", [both](const Tensor& x) { return both(median(x, 1, true)); });
  distinct("nanmedian", [](const Tensor& x) { return Tensors{nanmedian(x)}; });
  distinct("nanmedian dim", [both](const Tensor& x) { return both(nanmedian(x, 1)); });
  distinct("mode", [both](const Tensor& x) { return both(mode(x, 1)); });
  distinct("cummax", [both](const Tensor& x) { return both(cummax(x, 1)); });
  distinct("cummin", [both](const Tensor& x) { return both(cummin(x, 1)); });
  distinct("cumsum", [](const Tensor& x) { return Tensors{cumsum(x, 1)}; });
  distinct("logcumsumexp", [](const Tensor& x) { return Tensors{logcumsumexp(x, 1)}; });
  cases.back().has_second_gradient = false;  // its derivative splits the sign of the gradient
  distinct("diff", [](const Tensor& x) { return Tensors{diff(x, 2, 1)}; });
  distinct("trapezoid", [](const Tensor& x) { return Tensors{trapezoid(x, 0.5, 1)}; });
  distinct("cumulative_trapezoid",
           [](const Tensor& x) { return Tensors{cumulative_trapezoid(x, 0.5, 1)}; });
  cases.push_back({"cumprod", [] { return Tensors{draw({3, 4}, 0.5, 1.5)}; },
                   [](TensorList in) { return Tensors{cumprod(in[0], 1)}; }});
  cases.push_back({"cumprod with a zero",
                   [] {
                     const Tensor x = draw({2, 4}, 0.5, 1.5);
                     const NoGradGuard no_grad;
                     x[0][1].zero_();
                     return Tensors{x};
                   },
                   [](TensorList in) { return Tensors{cumprod(in[0], 1)}; }});
  cases.push_back({"trapezoid points", [] { return Tensors{draw({3, 4}), draw({4})}; },
                   [](TensorList in) { return Tensors{trapezoid(in[0], in[1], 1)}; }});
  cases.push_back({"searchsorted", [] { return Tensors{draw({6})}; },
                   [](TensorList in) {
                     return Tensors{
                         searchsorted(here(tensor({-1.0, 0.0, 1.0}, in[0].dtype())), in[0])};
                   }});
  cases.push_back({"bucketize", [] { return Tensors{draw({2, 3})}; },
                   [](TensorList in) {
                     return Tensors{
                         bucketize(in[0], here(tensor({-1.0, 0.0, 1.0}, in[0].dtype())))};
                   }});
  cases.push_back({"bincount", [] { return Tensors{draw_indices({9}, 4)}; },
                   [](TensorList in) { return Tensors{bincount(in[0], Tensor(), 6)}; }});
  cases.push_back({"histc", [] { return Tensors{draw({20})}; },
                   [](TensorList in) { return Tensors{histc(in[0], 4, -2, 2)}; }});
  cases.back().all_floating_dtypes = false;
  cases.push_back({"isin", [] { return Tensors{draw_indices({2, 3}, 4)}; },
                   [](TensorList in) { return Tensors{isin(in[0], here(tensor({1, 3})))}; }});
  cases.push_back({"unique", [] { return Tensors{draw_indices({8}, 4)}; },
                   [](TensorList in) {
                     auto [values, inverse, counts] = unique(in[0], true, true, true);
                     return Tensors{values, inverse, counts};
                   }});
  cases.push_back({"unique_consecutive", [] { return Tensors{draw_indices({8}, 2)}; },
                   [](TensorList in) { return Tensors{std::get<0>(unique_consecutive(in[0]))}; }});
  for (OpCase& op : cases) {
    for (const char* name : {"searchsorted", "bucketize", "histc", "argsort"}) {
      if (op.name == name) op.has_gradient = false;
    }
  }
  return cases;
}

}  // namespace taut::testing
