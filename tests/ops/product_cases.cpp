#include "tests/ops/op_cases.h"

namespace taut::testing {
namespace {

OpCase product(const std::string& name, Tensor (*function)(const Tensor&, const Tensor&),
               const Dims& a, const Dims& b) {
  return {concat(name, " ", a, " ", b), [a, b] { return Tensors{draw(a), draw(b)}; },
          [function](TensorList in) { return Tensors{function(in[0], in[1])}; }};
}

OpCase three(const std::string& name,
             Tensor (*function)(const Tensor&, const Tensor&, const Tensor&, const Scalar&,
                                const Scalar&),
             const Dims& a, const Dims& b, const Dims& c) {
  return {name, [a, b, c] { return Tensors{draw(a), draw(b), draw(c)}; },
          [function](TensorList in) { return Tensors{function(in[0], in[1], in[2], 0.5, 2.0)}; }};
}

// Inputs, weights and biases that keep what goes into a ReLU away from its kink.
OpCase mlp_case(const std::string& name, const Dims& input, bool has_biases,
                const std::string& activation) {
  return {name,
          [input, has_biases] {
            Tensors in{draw(input, 0.5, 1.5), draw({6, 4}, 0.2, 1), draw({3, 6})};
            // Half of the hidden features are negative.
            const NoGradGuard no_grad;
            in[1].slice(0, 0, 3).neg_();
            if (has_biases) in.push_back(draw({6}, -0.3, 0.3)), in.push_back(draw({3}));
            return in;
          },
          [activation](TensorList in) {
            const Tensor none;
            return Tensors{nn::functional::mlp(in[0], in[1], in[2], in.size() > 3 ? in[3] : none,
                                               in.size() > 4 ? in[4] : none, activation)};
          }};
}

}  // namespace

std::vector<OpCase> product_cases() {
  std::vector<OpCase> cases;
  cases.push_back(product("matmul", matmul, {3, 4}, {4, 2}));
  cases.push_back(product("matmul", matmul, {4}, {4}));
  cases.push_back(product("matmul", matmul, {4}, {4, 2}));
  cases.push_back(product("matmul", matmul, {3, 4}, {4}));
  cases.push_back(product("matmul", matmul, {2, 3, 4}, {4, 2}));
  cases.push_back(product("matmul", matmul, {2, 1, 3, 4}, {3, 4, 2}));
  cases.push_back(product("matmul", matmul, {3, 4}, {2, 4, 2}));
  cases.push_back(product("matmul", matmul, {2, 3, 4}, {4}));
  cases.push_back(product("mm", mm, {3, 4}, {4, 2}));
  cases.push_back(product("bmm", bmm, {2, 3, 4}, {2, 4, 2}));
  cases.push_back(product("mv", mv, {3, 4}, {4}));
  cases.push_back(product("dot", dot, {4}, {4}));
  cases.push_back(product("vdot", vdot, {4}, {4}));
  cases.push_back(product("inner", inner, {2, 3}, {4, 3}));
  cases.push_back(product("outer", outer, {3}, {4}));
  cases.push_back(product("ger", ger, {3}, {4}));
  cases.push_back(product("kron", kron, {2, 3}, {2, 2}));
  cases.push_back(three("addmm", addmm, {2}, {3, 4}, {4, 2}));
  cases.push_back(three("addmv", addmv, {3}, {3, 4}, {4}));
  cases.push_back(three("addr", addr, {3, 2}, {3}, {2}));
  cases.push_back(three("baddbmm", baddbmm, {2, 3, 2}, {2, 3, 4}, {2, 4, 2}));
  cases.push_back(three("addbmm", addbmm, {3, 2}, {2, 3, 4}, {2, 4, 2}));
  for (const char* equation : {"ij,jk->ik", "bij,bjk->bik", "ij,ij->", "ij->ji", "ii->i", "ij->j",
                               "...ij,...jk->...ik", "ij,kj->ik"}) {
    const std::string text = equation;
    const bool single = text.find(',') == std::string::npos;
    const bool batched = text[0] == 'b' || text[0] == '.';
    cases.push_back({"einsum " + text,
                     [single, batched] {
                       Tensors in{batched ? draw({2, 3, 3}) : draw({3, 3})};
                       if (!single) in.push_back(batched ? draw({2, 3, 3}) : draw({3, 3}));
                       return in;
                     },
                     [text](TensorList in) { return Tensors{einsum(text, in)}; }});
  }
  cases.push_back(
      {"tensordot", [] { return Tensors{draw({2, 3, 4}), draw({4, 3, 2})}; },
       [](TensorList in) { return Tensors{tensordot(in[0], in[1], Dims{1, 2}, Dims{1, 0})}; }});
  cases.push_back({"multi_dot",
                   [] { return Tensors{draw({2, 5}), draw({5, 3}), draw({3, 4}), draw({4})}; },
                   [](TensorList in) { return Tensors{linalg::multi_dot(in)}; }});
  cases.push_back({"matrix_power", [] { return Tensors{draw({2, 3, 3}, -1, 1)}; },
                   [](TensorList in) { return Tensors{linalg::matrix_power(in[0], 3)}; }});
  cases.push_back({"vecdot", [] { return Tensors{draw({2, 3}), draw({3})}; },
                   [](TensorList in) { return Tensors{linalg::vecdot(in[0], in[1])}; }});
  cases.push_back(
      {"linear", [] { return Tensors{draw({2, 3, 4}), draw({5, 4}), draw({5})}; },
       [](TensorList in) { return Tensors{nn::functional::linear(in[0], in[1], in[2])}; }});
  cases.push_back(
      {"linear of a vector", [] { return Tensors{draw({4}), draw({5, 4}), draw({5})}; },
       [](TensorList in) { return Tensors{nn::functional::linear(in[0], in[1], in[2])}; }});
  cases.push_back(mlp_case("mlp with relu", {2, 3, 4}, true, "relu"));
  cases.push_back(mlp_case("mlp with gelu", {2, 3, 4}, true, "gelu"));
  cases.push_back(mlp_case("mlp with gelu_tanh", {3, 4}, true, "gelu_tanh"));
  cases.push_back(mlp_case("mlp without biases", {3, 4}, false, "gelu_tanh"));
  cases.push_back(mlp_case("mlp of a vector", {4}, true, "gelu"));
  cases.push_back({"cross", [] { return Tensors{draw({2, 3}), draw({3})}; },
                   [](TensorList in) { return Tensors{cross(in[0], in[1])}; }});
  return cases;
}

}  // namespace taut::testing
