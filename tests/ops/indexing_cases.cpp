#include "tests/ops/op_cases.h"

namespace taut::testing {
namespace {

using indexing::Ellipsis;
using indexing::None;
using indexing::Slice;

// A permutation, so that no element is written twice.
Tensor rows() { return here(tensor({2, 0, 3})); }

}  // namespace

std::vector<OpCase> indexing_cases() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, const Dims& shape,
                       Callback<Tensor(const Tensor&)> function) {
    cases.push_back({name, [shape] { return Tensors{draw(shape)}; },
                     [function](TensorList in) { return Tensors{function(in[0])}; }});
  };
  add("index numbers", {4, 3, 2}, [](const Tensor& x) { return x.index({1, Slice(0, 3, 2)}); });
  add("index new dim", {4, 3}, [](const Tensor& x) { return x.index({Ellipsis, None, 1}); });
  add("index tensor", {4, 3, 2},
      [](const Tensor& x) { return x.index({here(tensor({3, -1, 0}))}); });
  add("index two tensors", {4, 3, 2},
      [](const Tensor& x) { return x.index({here(tensor({3, 1})), here(tensor({0, 2}))}); });
  add("index apart", {4, 3, 2}, [](const Tensor& x) {
    return x.index({here(tensor({3, 1})), Slice(), here(tensor({0, 1}))});
  });
  add("index broadcast", {4, 3, 2}, [](const Tensor& x) {
    return x.index({Slice(), here(tensor({0, 2})).view({2, 1}), here(tensor({0, 1, 1}))});
  });
  add("index mask", {2, 3}, [](const Tensor& x) {
    return x.index({here(tensor({1, 0, 0, 1, 1, 0})).view({2, 3}).to(kBool)});
  });
  cases.push_back({"index_put", [] { return Tensors{draw({4, 3}), draw({2, 3})}; },
                   [](TensorList in) {
                     const TensorIndex at[] = {here(tensor({3, 1}))};
                     return Tensors{index_put(in[0], at, in[1])};
                   }});
  cases.push_back({"index_put accumulate", [] { return Tensors{draw({4, 3}), draw({3, 3})}; },
                   [](TensorList in) {
                     const TensorIndex at[] = {here(tensor({3, 1, 3}))};
                     return Tensors{index_put(in[0], at, in[1], true)};
                   }});
  cases.push_back({"index_put_ slice", [] { return Tensors{draw({4, 3}), draw({3})}; },
                   [](TensorList in) {
                     const Tensor x = in[0] * 1.0;
                     x.index_put_({Slice(1, 3)}, in[1]);
                     return Tensors{x};
                   }});
  cases.push_back({"gather", [] { return Tensors{draw({4, 3}), draw_indices({2, 3}, 4)}; },
                   [](TensorList in) { return Tensors{gather(in[0], 0, in[1])}; }});
  cases.push_back({"scatter", [] { return Tensors{draw({4, 3}), draw({3, 3})}; },
                   [](TensorList in) {
                     const Tensor at = rows().view({3, 1}).expand({3, 3});
                     return Tensors{scatter(in[0], 0, at, in[1])};
                   }});
  cases.push_back({"scatter value", [] { return Tensors{draw({4, 3}), draw_indices({4, 2}, 3)}; },
                   [](TensorList in) { return Tensors{scatter(in[0], 1, in[1], 2.5)}; }});
  cases.push_back({"scatter_add",
                   [] { return Tensors{draw({4, 3}), draw({4, 5}), draw_indices({4, 5}, 3)}; },
                   [](TensorList in) { return Tensors{scatter_add(in[0], 1, in[2], in[1])}; }});
  for (const char* reduce : {"sum", "mean", "amax", "amin", "prod"}) {
    for (bool include_self : {true, false}) {
      cases.push_back({concat("scatter_reduce ", reduce, include_self ? "" : " without self"),
                       [] {
                         return Tensors{draw_distinct({4, 3}),
                                        mul(draw_distinct({4, 5}), 1.01).detach().requires_grad_(),
                                        draw_indices({4, 5}, 3)};
                       },
                       [reduce, include_self](TensorList in) {
                         return Tensors{
                             scatter_reduce(in[0], 1, in[2], in[1], reduce, include_self)};
                       }});
    }
  }
  cases.push_back({"index_select", [] { return Tensors{draw({4, 3}), draw_indices({5}, 3)}; },
                   [](TensorList in) { return Tensors{index_select(in[0], 1, in[1])}; }});
  cases.push_back({"index_add",
                   [] { return Tensors{draw({4, 3}), draw({5, 3}), draw_indices({5}, 4)}; },
                   [](TensorList in) { return Tensors{index_add(in[0], 0, in[2], in[1], 1.5)}; }});
  cases.push_back({"index_copy", [] { return Tensors{draw({4, 3}), draw({3, 3})}; },
                   [](TensorList in) { return Tensors{index_copy(in[0], 0, rows(), in[1])}; }});
  cases.push_back({"index_fill", [] { return Tensors{draw({4, 3})}; },
                   [](TensorList in) { return Tensors{index_fill(in[0], 0, rows(), 0.5)}; }});
  cases.push_back({"take", [] { return Tensors{draw({4, 3}), draw_indices({2, 2}, 12)}; },
                   [](TensorList in) { return Tensors{take(in[0], in[1])}; }});
  cases.push_back({"take_along_dim", [] { return Tensors{draw({4, 3}), draw_indices({4, 2}, 3)}; },
                   [](TensorList in) { return Tensors{take_along_dim(in[0], in[1], 1)}; }});
  cases.push_back({"masked_select", [] { return Tensors{draw({4, 3}), draw_indices({3}, 2)}; },
                   [](TensorList in) { return Tensors{masked_select(in[0], ne(in[1], 0))}; }});
  cases.push_back(
      {"masked_scatter", [] { return Tensors{draw({4, 3}), draw({12}), draw_indices({4, 3}, 2)}; },
       [](TensorList in) { return Tensors{masked_scatter(in[0], ne(in[2], 0), in[1])}; }});
  cases.push_back({"nonzero", [] { return Tensors{draw_indices({4, 3}, 2)}; },
                   [](TensorList in) { return Tensors{nonzero(in[0]), argwhere(in[0])}; }});
  cases.push_back({"embedding", [] { return Tensors{draw({5, 3}), draw_indices({2, 4}, 5)}; },
                   [](TensorList in) { return Tensors{nn::functional::embedding(in[1], in[0])}; }});
  cases.push_back(
      {"embedding padded", [] { return Tensors{draw({5, 3}), draw_indices({2, 4}, 5)}; },
       [](TensorList in) { return Tensors{nn::functional::embedding(in[1], in[0], 0, true)}; }});
  // The gradient of the padding row and the frequency scale are no derivatives.
  cases.back().has_gradient = false;
  cases.push_back({"one_hot", [] { return Tensors{draw_indices({2, 3}, 4)}; },
                   [](TensorList in) { return Tensors{nn::functional::one_hot(in[0], 4)}; }});
  return cases;
}

}  // namespace taut::testing
