#include "tests/ops/op_cases.h"

namespace taut::testing {
namespace {

OpCase one(const std::string& name, Callback<Tensor(const Tensor&)> function,
           const Dims& shape = {3, 4, 2}) {
  return {name, [shape] { return Tensors{draw(shape)}; },
          [function](TensorList in) { return Tensors{function(in[0])}; }};
}

OpCase many(const std::string& name, Callback<Tensors(const Tensor&)> function,
            const Dims& shape = {4, 6, 2}) {
  return {name, [shape] { return Tensors{draw(shape)}; },
          [function](TensorList in) { return function(in[0]); }};
}

OpCase joined(const std::string& name, Tensor (*function)(TensorList), const Dims& a,
              const Dims& b) {
  return {name, [a, b] { return Tensors{draw(a), draw(b)}; },
          [function](TensorList in) { return Tensors{function(in)}; }};
}

void add_views(std::vector<OpCase>& cases) {
  cases.push_back(one("view", [](const Tensor& x) { return contiguous(x).view({2, -1}); }));
  cases.push_back(
      one("reshape", [](const Tensor& x) { return x.permute({2, 0, 1}).reshape({4, 6}); }));
  cases.push_back(
      one("view_as", [](const Tensor& x) { return view_as(contiguous(x), here(zeros({6, 4}))); }));
  cases.push_back(
      one("reshape_as", [](const Tensor& x) { return reshape_as(x, here(zeros({6, 4}))); }));
  cases.push_back(one("flatten", [](const Tensor& x) { return flatten(x, 1); }));
  cases.push_back(one("unflatten", [](const Tensor& x) { return unflatten(x, 1, {2, -1}); }));
  cases.push_back(one("ravel", [](const Tensor& x) { return ravel(x); }));
  cases.push_back(one("permute", [](const Tensor& x) { return permute(x, {2, 0, 1}); }));
  cases.push_back(one("transpose", [](const Tensor& x) { return transpose(x, 0, -1); }));
  cases.push_back(one("swapaxes", [](const Tensor& x) { return swapaxes(x, 0, 1); }));
  cases.push_back(one("swapdims", [](const Tensor& x) { return swapdims(x, 0, 1); }));
  cases.push_back(one("t", [](const Tensor& x) { return t(x); }, {3, 2}));
  cases.push_back(one("T", [](const Tensor& x) { return numpy_T(x); }));
  cases.push_back(one("mT", [](const Tensor& x) { return x.mT(); }));
  cases.push_back(one("adjoint", [](const Tensor& x) { return adjoint(x); }));
  cases.push_back(one("movedim", [](const Tensor& x) { return movedim(x, {0, 1}, {2, 0}); }));
  cases.push_back(one("moveaxis", [](const Tensor& x) { return moveaxis(x, {0}, {-1}); }));
  cases.push_back(one("squeeze", [](const Tensor& x) { return squeeze(x); }, {3, 1, 2, 1}));
  cases.push_back(one("squeeze dim", [](const Tensor& x) { return squeeze(x, 1); }, {3, 1, 2}));
  cases.push_back(one("unsqueeze", [](const Tensor& x) { return unsqueeze(x, -2); }));
  cases.push_back(one("expand", [](const Tensor& x) { return expand(x, {2, 3, -1}); }, {3, 1}));
  cases.push_back(
      one("expand_as", [](const Tensor& x) { return expand_as(x, here(zeros({3, 4}))); }, {3, 1}));
  cases.push_back(
      one("broadcast_to", [](const Tensor& x) { return broadcast_to(x, {3, 4}); }, {4}));
  cases.push_back(one("narrow", [](const Tensor& x) { return narrow(x, 1, 1, 2); }));
  cases.push_back(one("narrow_copy", [](const Tensor& x) { return narrow_copy(x, 1, -2, 2); }));
  cases.push_back(one("select", [](const Tensor& x) { return select(x, 1, -1); }));
  cases.push_back(one("slice", [](const Tensor& x) { return slice(x, 1, 0, 4, 2); }));
  cases.push_back(one("diagonal", [](const Tensor& x) { return diagonal(x, 1, 0, 1); }));
  cases.push_back(one("unfold windows", [](const Tensor& x) { return unfold(x, 1, 2, 1); }));
  cases.push_back(one(
      "as_strided", [](const Tensor& x) { return as_strided(contiguous(x), {3, 2}, {2, 5}, 1); }));
  cases.push_back(one("as_strided overlapping", [](const Tensor& x) {
    return as_strided(contiguous(x), {3, 3}, {1, 1}, 2);
  }));
  cases.push_back(one("alias", [](const Tensor& x) { return alias(x); }));
  cases.push_back(one("contiguous", [](const Tensor& x) { return contiguous(x.transpose(0, 1)); }));
  cases.push_back(
      one("channels_last",
          [](const Tensor& x) { return contiguous(x, MemoryFormat::channels_last) * 2.0; },
          {2, 3, 2, 2}));
  cases.push_back(one("atleast_1d", [](const Tensor& x) { return atleast_1d(x); }, {}));
  cases.push_back(one("atleast_2d", [](const Tensor& x) { return atleast_2d(x); }, {3}));
  cases.push_back(one("atleast_3d", [](const Tensor& x) { return atleast_3d(x); }, {3}));
  cases.push_back(many("split", [](const Tensor& x) { return split(x, 4, 1); }));
  cases.push_back(
      many("split sizes", [](const Tensor& x) { return split_with_sizes(x, {1, 3, 2}, 1); }));
  cases.push_back(many("chunk", [](const Tensor& x) { return chunk(x, 4, 1); }));
  cases.push_back(many("tensor_split", [](const Tensor& x) { return tensor_split(x, 4, 1); }));
  cases.push_back(many("tensor_split at", [](const Tensor& x) {
    return tensor_split(x, std::vector<int64_t>{1, 4}, 1);
  }));
  cases.push_back(many("unbind", [](const Tensor& x) { return unbind(x, 1); }));
  cases.push_back(many("hsplit", [](const Tensor& x) { return hsplit(x, 3); }));
  cases.push_back(many("vsplit", [](const Tensor& x) { return vsplit(x, 2); }));
  cases.push_back(many("dsplit", [](const Tensor& x) { return dsplit(x, 2); }));
}

void add_joins(std::vector<OpCase>& cases) {
  cases.push_back({"cat", [] { return Tensors{draw({2, 3}), draw({2, 1})}; },
                   [](TensorList in) { return Tensors{cat(in, 1)}; }});
  cases.push_back({"concat", [] { return Tensors{draw({2, 3}), draw({1, 3})}; },
                   [](TensorList in) { return Tensors{taut::concat(in, 0)}; }});
  cases.push_back({"stack", [] { return Tensors{draw({2, 3}), draw({2, 3})}; },
                   [](TensorList in) { return Tensors{stack(in, -1)}; }});
  cases.push_back(joined("hstack", hstack, {2, 3}, {2, 1}));
  cases.push_back(joined("vstack", vstack, {2, 3}, {3}));
  cases.push_back(joined("dstack", dstack, {2, 3}, {2, 3}));
  cases.push_back(joined("column_stack", column_stack, {3}, {3, 2}));
  cases.push_back(joined("block_diag", block_diag, {2, 3}, {2, 2}));
  cases.push_back(joined("cartesian_prod", cartesian_prod, {3}, {2}));
  cases.push_back({"meshgrid", [] { return Tensors{draw({3}), draw({2})}; },
                   [](TensorList in) { return meshgrid(in, "xy"); }});
  cases.push_back({"broadcast_tensors", [] { return Tensors{draw({3, 1}), draw({2})}; },
                   [](TensorList in) { return broadcast_tensors(in); }});
  cases.push_back(one("repeat", [](const Tensor& x) { return repeat(x, {2, 1, 3}); }, {2, 3}));
  cases.push_back(one("tile", [](const Tensor& x) { return tile(x, {2}); }, {2, 3}));
  cases.push_back(
      one("repeat_interleave", [](const Tensor& x) { return repeat_interleave(x, 3, 1); }));
  cases.push_back(one("flip", [](const Tensor& x) { return flip(x, {0, 2}); }));
  cases.push_back(one("fliplr", [](const Tensor& x) { return fliplr(x); }));
  cases.push_back(one("flipud", [](const Tensor& x) { return flipud(x); }));
  cases.push_back(one("roll", [](const Tensor& x) { return roll(x, {1, -1}, {0, 1}); }));
  cases.push_back(one("roll flat", [](const Tensor& x) { return roll(x, {5}); }));
  for (int64_t k = 0; k < 4; ++k) {
    cases.push_back(one(concat("rot90 ", k), [k](const Tensor& x) { return rot90(x, k); }));
  }
  cases.push_back(one("tril", [](const Tensor& x) { return tril(x, 1); }, {2, 3, 4}));
  cases.push_back(one("triu", [](const Tensor& x) { return triu(x, -1); }, {4, 3}));
  cases.push_back(one("diag of a vector", [](const Tensor& x) { return diag(x, -1); }, {3}));
  cases.push_back(one("diag of a matrix", [](const Tensor& x) { return diag(x, 1); }, {3, 4}));
  cases.push_back(one("diagflat", [](const Tensor& x) { return diagflat(x); }, {2, 2}));
  cases.push_back(
      one("diag_embed", [](const Tensor& x) { return diag_embed(x, 1, 0, 2); }, {2, 3}));
  cases.push_back(one("trace", [](const Tensor& x) { return trace(x); }, {3, 4}));
  cases.push_back(one("constant_pad_nd",
                      [](const Tensor& x) { return constant_pad_nd(x, {1, 2, -1, 1}, 0.5); }));
  cases.push_back({"slice_scatter", [] { return Tensors{draw({4, 3}), draw({2, 3})}; },
                   [](TensorList in) { return Tensors{slice_scatter(in[0], in[1], 0, 1, 3)}; }});
  cases.push_back({"select_scatter", [] { return Tensors{draw({4, 3}), draw({3})}; },
                   [](TensorList in) { return Tensors{select_scatter(in[0], in[1], 0, 2)}; }});
  cases.push_back({"diagonal_scatter", [] { return Tensors{draw({4, 3}), draw({3})}; },
                   [](TensorList in) { return Tensors{diagonal_scatter(in[0], in[1])}; }});
}

}  // namespace

std::vector<OpCase> shape_cases() {
  std::vector<OpCase> cases;
  add_views(cases);
  add_joins(cases);
  return cases;
}

}  // namespace taut::testing
