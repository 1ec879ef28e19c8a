#include "tests/ops/op_cases.h"

namespace taut::testing {
namespace {

namespace F = nn::functional;
using F::Reduction;

void add_softmax(std::vector<OpCase>& cases) {
  const auto add = [&](const std::string& name, Callback<Tensor(const Tensor&)> function) {
    cases.push_back({name, [] { return Tensors{draw({3, 4, 2})}; },
                     [function](TensorList in) { return Tensors{function(in[0])}; }});
  };
  add("softmax", [](const Tensor& x) { return softmax(x, 1); });
  add("softmax last", [](const Tensor& x) { return softmax(x, -1); });
  add("log_softmax", [](const Tensor& x) { return log_softmax(x, 1); });
  add("softmin", [](const Tensor& x) { return F::softmin(x, 1); });
  add("glu", [](const Tensor& x) { return F::glu(x, 1); });
  add("normalize", [](const Tensor& x) { return F::normalize(x, 2.0, 1); });
}

void add_losses(std::vector<OpCase>& cases) {
  using Loss = Tensor (*)(const Tensor&, const Tensor&, Reduction);
  const auto add = [&](const std::string& name, Loss loss, double low, double high) {
    for (Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum}) {
      cases.push_back(
          {concat(name, " ", static_cast<int>(reduction)),
           [low, high] { return Tensors{draw({3, 4}, low, high), draw({3, 4}, low, high)}; },
           [loss, reduction](TensorList in) { return Tensors{loss(in[0], in[1], reduction)}; }});
    }
  };
  add("mse_loss", F::mse_loss, -2, 2);
  add("l1_loss", F::l1_loss, -2, 2);
  add(
      "smooth_l1_loss",
      [](const Tensor& a, const Tensor& b, Reduction r) { return F::smooth_l1_loss(a, b, r, 0.7); },
      -2, 2);
  add(
      "huber_loss",
      [](const Tensor& a, const Tensor& b, Reduction r) { return F::huber_loss(a, b, r, 0.7); }, -2,
      2);
  add(
      "binary_cross_entropy",
      [](const Tensor& a, const Tensor& b, Reduction r) {
        return F::binary_cross_entropy(a, b, Tensor(), r);
      },
      0.2, 0.8);
  add(
      "binary_cross_entropy_with_logits",
      [](const Tensor& a, const Tensor& b, Reduction r) {
        return F::binary_cross_entropy_with_logits(a, b, Tensor(), r,
                                                   here(tensor({1.5}, a.dtype())));
      },
      0.2, 0.8);
  add(
      "kl_div", [](const Tensor& a, const Tensor& b, Reduction r) { return F::kl_div(a, b, r); },
      0.2, 0.8);
  add(
      "poisson_nll_loss",
      [](const Tensor& a, const Tensor& b, Reduction r) {
        return F::poisson_nll_loss(a, b, true, true, 1e-8, r);
      },
      1.1, 2);
  add("soft_margin_loss", F::soft_margin_loss, 0.2, 0.8);
  cases.push_back(
      {"gaussian_nll_loss",
       [] { return Tensors{draw({3, 4}), draw({3, 4}), draw({3, 4}, 0.5, 2)}; },
       [](TensorList in) { return Tensors{F::gaussian_nll_loss(in[0], in[1], in[2], true)}; }});
  cases.push_back({"margin_ranking_loss", [] { return Tensors{draw({4}), draw({4}, 3, 4)}; },
                   [](TensorList in) {
                     return Tensors{
                         F::margin_ranking_loss(in[0], in[1], ones({4}, in[0].options()), 0.1)};
                   }});
  cases.push_back({"hinge_embedding_loss", [] { return Tensors{draw({4}, 0.2, 0.8)}; },
                   [](TensorList in) {
                     return Tensors{F::hinge_embedding_loss(
                         in[0], here(tensor({1.0, -1.0, 1.0, -1.0}, in[0].dtype())))};
                   }});
  cases.push_back({"cosine_similarity", [] { return Tensors{draw({3, 4}), draw({3, 4})}; },
                   [](TensorList in) { return Tensors{F::cosine_similarity(in[0], in[1])}; }});
  cases.push_back({"cosine_embedding_loss", [] { return Tensors{draw({2, 4}), draw({2, 4})}; },
                   [](TensorList in) {
                     return Tensors{F::cosine_embedding_loss(
                         in[0], in[1], here(tensor({1.0, 1.0}, in[0].dtype())))};
                   }});
  cases.push_back({"pairwise_distance", [] { return Tensors{draw({3, 4}), draw({3, 4}, 3, 5)}; },
                   [](TensorList in) { return Tensors{F::pairwise_distance(in[0], in[1])}; }});
  cases.push_back(
      {"triplet_margin_loss",
       [] { return Tensors{draw({2, 4}), draw({2, 4}, 5, 6), draw({2, 4}, 3, 4)}; },
       [](TensorList in) { return Tensors{F::triplet_margin_loss(in[0], in[1], in[2])}; }});
  for (Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum}) {
    for (double smoothing : {0.0, 0.2}) {
      cases.push_back(
          {concat("cross_entropy ", static_cast<int>(reduction), " ", smoothing),
           [] { return Tensors{draw({3, 5, 2}), draw_indices({3, 2}, 5)}; },
           [=](TensorList in) {
             const Tensor weight = here(tensor({0.5, 1.0, 2.0, 1.5, 0.7}, in[0].dtype()));
             return Tensors{F::cross_entropy(in[0], in[1], weight, 3, reduction, smoothing)};
           }});
    }
    cases.push_back({concat("nll_loss ", static_cast<int>(reduction)),
                     [] { return Tensors{draw({3, 5}), draw_indices({3}, 5)}; },
                     [=](TensorList in) {
                       const Tensor weight = here(tensor({0.5, 1.0, 2.0, 1.5, 0.7}, in[0].dtype()));
                       return Tensors{F::nll_loss(in[0], in[1], weight, -100, reduction)};
                     }});
  }
  cases.push_back(
      {"cross_entropy probabilities", [] { return Tensors{draw({3, 5}), draw({3, 5}, 0.1, 1)}; },
       [](TensorList in) {
         return Tensors{F::cross_entropy(in[0], in[1], Tensor(), -100, Reduction::mean, 0.1)};
       }});
}

void add_norms(std::vector<OpCase>& cases) {
  cases.push_back(
      {"layer_norm", [] { return Tensors{draw({2, 3, 4}), draw({3, 4}), draw({3, 4})}; },
       [](TensorList in) { return Tensors{F::layer_norm(in[0], {3, 4}, in[1], in[2])}; }});
  cases.push_back({"layer_norm plain", [] { return Tensors{draw({3, 4})}; },
                   [](TensorList in) { return Tensors{F::layer_norm(in[0], {4})}; }});
  cases.push_back({"rms_norm", [] { return Tensors{draw({3, 4}), draw({4})}; },
                   [](TensorList in) { return Tensors{F::rms_norm(in[0], {4}, in[1])}; }});
  const auto add_norm = [&](const std::string& name, const Dims& residual, bool is_rms) {
    cases.push_back(
        {name, [=] { return Tensors{draw({2, 3, 4}), draw(residual), draw({4}), draw({4})}; },
         [=](TensorList in) {
           const auto [output, sum] = is_rms ? F::add_rms_norm(in[0], in[1], {4}, in[2])
                                             : F::add_layer_norm(in[0], in[1], {4}, in[2], in[3]);
           return Tensors{output, sum};
         }});
  };
  add_norm("add_layer_norm", {2, 3, 4}, false);
  add_norm("add_layer_norm broadcast", {3, 4}, false);
  add_norm("add_rms_norm", {2, 3, 4}, true);
  cases.push_back(
      {"add_layer_norm without its sum", [] { return Tensors{draw({3, 4}), draw({3, 4})}; },
       [](TensorList in) { return Tensors{F::add_layer_norm(in[0], in[1], {4}).first}; }});
  cases.push_back({"add_layer_norm of itself", [] { return Tensors{draw({3, 4})}; },
                   [](TensorList in) {
                     const auto [output, sum] = F::add_layer_norm(in[0], in[0], {4});
                     return Tensors{output, sum * 2};
                   }});
  cases.push_back({"group_norm", [] { return Tensors{draw({2, 4, 3}), draw({4}), draw({4})}; },
                   [](TensorList in) { return Tensors{F::group_norm(in[0], 2, in[1], in[2])}; }});
  cases.push_back({"instance_norm", [] { return Tensors{draw({2, 3, 4}), draw({3}), draw({3})}; },
                   [](TensorList in) {
                     return Tensors{F::instance_norm(in[0], Tensor(), Tensor(), in[1], in[2])};
                   }});
  cases.push_back({"batch_norm training",
                   [] { return Tensors{draw({3, 2, 4}), draw({2}), draw({2})}; },
                   [](TensorList in) {
                     return Tensors{F::batch_norm(in[0], Tensor(), Tensor(), in[1], in[2], true)};
                   }});
  cases.push_back({"batch_norm inference",
                   [] { return Tensors{draw({3, 2, 4}), draw({2}), draw({2})}; },
                   [](TensorList in) {
                     const DType dtype = in[0].dtype();
                     return Tensors{F::batch_norm(in[0], here(tensor({0.5, -0.5}, dtype)),
                                                  here(tensor({1.5, 0.5}, dtype)), in[1], in[2])};
                   }});
}

void add_rotary(std::vector<OpCase>& cases) {
  const auto add = [&](const std::string& name, const Dims& shape, int64_t turned, bool interleaved,
                       int64_t offset) {
    cases.push_back({name, [shape] { return Tensors{draw(shape)}; },
                     [=](TensorList in) {
                       const auto [cos, sin] = F::rotary_tables(8, turned);
                       return Tensors{
                           F::rotary_embedding(in[0], here(cos), here(sin), interleaved, offset)};
                     }});
  };
  add("rotary_embedding", {2, 3, 5, 6}, 6, false, 0);
  add("rotary_embedding interleaved", {2, 3, 5, 6}, 6, true, 2);
  add("rotary_embedding of a part", {3, 5, 7}, 4, false, 3);
  add("rotary_embedding of a part, interleaved", {5, 7}, 4, true, 0);
  add("rotary_embedding of wide heads", {2, 3, 32}, 32, false, 1);
  const auto add_qkv = [&](const std::string& name, int64_t heads, int64_t kv_heads,
                           bool interleaved) {
    cases.push_back({name, [=] { return Tensors{draw({2, 5, (heads + 2 * kv_heads) * 4})}; },
                     [=](TensorList in) {
                       const auto [cos, sin] = F::rotary_tables(8, 4);
                       const auto [q, k, v] = F::rotary_qkv(in[0], here(cos), here(sin), heads,
                                                            kv_heads, interleaved, 1);
                       return Tensors{q, k, v};
                     }});
  };
  add_qkv("rotary_qkv", 2, 2, false);
  add_qkv("rotary_qkv with fewer keys", 3, 1, true);
}

void add_gated(std::vector<OpCase>& cases) {
  using Gated = Tensor (*)(const Tensor& gate, const Tensor& up);
  const auto add = [&](const std::string& name, Gated function) {
    cases.push_back({name, [] { return Tensors{draw({3, 2, 5}), draw({3, 2, 5})}; },
                     [function](TensorList in) { return Tensors{function(in[0], in[1])}; }});
    cases.push_back({name + " of halves", [] { return Tensors{draw({3, 2, 6})}; },
                     [function](TensorList in) { return Tensors{function(in[0], Tensor())}; }});
    cases.push_back({name + " of itself", [] { return Tensors{draw({8})}; },
                     [function](TensorList in) { return Tensors{function(in[0], in[0])}; }});
  };
  add("swiglu", [](const Tensor& gate, const Tensor& up) { return F::swiglu(gate, up); });
  add("geglu", [](const Tensor& gate, const Tensor& up) { return F::geglu(gate, up); });
  add("geglu tanh",
      [](const Tensor& gate, const Tensor& up) { return F::geglu(gate, up, "tanh"); });
}

void add_batch_norm_relu(std::vector<OpCase>& cases) {
  // The channels lie side by side in the first, so that it is one op on GPUs.
  for (const Dims& shape : {Dims{6, 2}, Dims{2, 2, 3, 2}}) {
    for (bool training : {true, false}) {
      for (bool adds : {true, false}) {
        cases.push_back({concat("batch_norm_relu ", shape, training ? "" : " inference",
                                adds ? " residual" : ""),
                         [=] {
                           Tensors inputs{draw(shape), draw({2}), draw({2})};
                           if (adds) inputs.push_back(draw(shape));
                           return inputs;
                         },
                         [=](TensorList in) {
                           const DType dtype = in[0].dtype();
                           const Tensor mean = here(tensor({0.5, -0.5}, dtype)),
                                        var = here(tensor({1.5, 0.5}, dtype));
                           return Tensors{F::batch_norm_relu(in[0], mean, var, in[1], in[2],
                                                             training, 0.1, 1e-5,
                                                             adds ? in[3] : Tensor())};
                         }});
      }
    }
  }
}

void add_convolutions(std::vector<OpCase>& cases) {
  const auto add = [&](const std::string& name, const Dims& input, const Dims& weight,
                       int64_t channels,
                       Callback<Tensor(const Tensor&, const Tensor&, const Tensor&)> function) {
    cases.push_back({name, [=] { return Tensors{draw(input), draw(weight), draw({channels})}; },
                     [function](TensorList in) { return Tensors{function(in[0], in[1], in[2])}; }});
  };
  add("conv1d", {2, 3, 6}, {2, 3, 3}, 2, [](const Tensor& x, const Tensor& w, const Tensor& b) {
    return F::conv1d(x, w, b, {2}, {1});
  });
  add("conv2d", {2, 2, 5, 4}, {3, 2, 3, 2}, 3,
      [](const Tensor& x, const Tensor& w, const Tensor& b) { return F::conv2d(x, w, b); });
  add("conv2d strided", {1, 2, 5, 6}, {2, 2, 3, 3}, 2,
      [](const Tensor& x, const Tensor& w, const Tensor& b) {
        return F::conv2d(x, w, b, {2, 1}, {1, 2}, {1, 2});
      });
  add("conv2d groups", {1, 4, 4, 4}, {4, 2, 2, 2}, 4,
      [](const Tensor& x, const Tensor& w, const Tensor& b) {
        return F::conv2d(x, w, b, {1}, {0}, {1}, 2);
      });
  add("conv2d depthwise", {1, 3, 4, 4}, {3, 1, 3, 3}, 3,
      [](const Tensor& x, const Tensor& w, const Tensor& b) {
        return F::conv2d(x, w, b, {1}, {1}, {1}, 3);
      });
  add("conv2d pointwise", {2, 3, 3, 3}, {2, 3, 1, 1}, 2,
      [](const Tensor& x, const Tensor& w, const Tensor& b) { return F::conv2d(x, w, b); });
  add("conv3d", {1, 2, 3, 3, 3}, {2, 2, 2, 2, 2}, 2,
      [](const Tensor& x, const Tensor& w, const Tensor& b) {
        return F::conv3d(x, w, b, {1}, {1});
      });
  add("conv_transpose1d", {2, 3, 4}, {3, 2, 3}, 2,
      [](const Tensor& x, const Tensor& w, const Tensor& b) {
        return F::conv_transpose1d(x, w, b, {2}, {1}, {1});
      });
  add("conv_transpose2d", {1, 2, 3, 3}, {2, 2, 3, 2}, 4,
      [](const Tensor& x, const Tensor& w, const Tensor& b) {
        return F::conv_transpose2d(x, w, b, {2, 1}, {1, 0}, {1, 0}, 2);
      });
  add("conv_transpose3d", {1, 2, 2, 2, 2}, {2, 1, 2, 2, 2}, 1,
      [](const Tensor& x, const Tensor& w, const Tensor& b) {
        return F::conv_transpose3d(x, w, b);
      });
  cases.push_back({"unfold", [] { return Tensors{draw({2, 2, 4, 4})}; },
                   [](TensorList in) { return Tensors{F::unfold(in[0], {2, 3}, {1}, {1}, {2})}; }});
  cases.push_back({"fold", [] { return Tensors{draw({1, 8, 9})}; },
                   [](TensorList in) { return Tensors{F::fold(in[0], {4, 4}, {2})}; }});
}

void add_pools(std::vector<OpCase>& cases) {
  const auto add = [&](const std::string& name, const Dims& shape,
                       Callback<Tensor(const Tensor&)> function) {
    cases.push_back({name, [shape] { return Tensors{draw_distinct(shape)}; },
                     [function](TensorList in) { return Tensors{function(in[0])}; }});
  };
  add("max_pool1d", {2, 2, 7}, [](const Tensor& x) { return F::max_pool1d(x, {3}, Dims{2}, {1}); });
  add("max_pool2d", {1, 2, 5, 6},
      [](const Tensor& x) { return F::max_pool2d(x, {2}, {}, {0}, {1}, true); });
  add("max_pool3d", {1, 1, 4, 3, 4},
      [](const Tensor& x) { return F::max_pool3d(x, {2}, Dims{1}); });
  add("avg_pool1d", {2, 2, 7}, [](const Tensor& x) { return F::avg_pool1d(x, {3}, Dims{2}, {1}); });
  add("avg_pool2d", {1, 2, 5, 6},
      [](const Tensor& x) { return F::avg_pool2d(x, {3, 2}, Dims{2}, {1}, true, false); });
  add("avg_pool3d", {1, 1, 4, 3, 4},
      [](const Tensor& x) { return F::avg_pool3d(x, {2}, {}, {0}, false, true, 3); });
  add("adaptive_avg_pool1d", {2, 2, 7},
      [](const Tensor& x) { return F::adaptive_avg_pool1d(x, {3}); });
  add("adaptive_avg_pool2d", {1, 2, 5, 7},
      [](const Tensor& x) { return F::adaptive_avg_pool2d(x, {3, std::nullopt}); });
  add("adaptive_avg_pool3d", {1, 1, 4, 3, 5},
      [](const Tensor& x) { return F::adaptive_avg_pool3d(x, {2}); });
  add("adaptive_max_pool1d", {2, 2, 7},
      [](const Tensor& x) { return F::adaptive_max_pool1d(x, {3}); });
  add("adaptive_max_pool2d", {1, 2, 5, 7},
      [](const Tensor& x) { return F::adaptive_max_pool2d(x, {3, 2}); });
  add("adaptive_max_pool3d", {1, 1, 4, 3, 5},
      [](const Tensor& x) { return F::adaptive_max_pool3d(x, {2}); });
}

// A dropout mask is drawn anew at each call: the seed makes it the same.
void add_dropouts(std::vector<OpCase>& cases) {
  for (bool channels : {false, true}) {
    cases.push_back({channels ? "dropout2d" : "dropout", [] { return Tensors{draw({2, 3, 4})}; },
                     [channels](TensorList in) {
                       manual_seed(7);
                       return Tensors{channels ? F::dropout2d(in[0], 0.4) : F::dropout(in[0], 0.4)};
                     }});
  }
  const auto add = [&](const std::string& name, const Dims& residual) {
    cases.push_back({name, [residual] { return Tensors{draw({2, 3, 4}), draw(residual)}; },
                     [](TensorList in) {
                       manual_seed(7);
                       return Tensors{F::dropout_add(in[0], in[1], 0.4)};
                     }});
  };
  add("dropout_add", {2, 3, 4});
  add("dropout_add broadcast", {4});
  add("dropout_add to a larger residual", {5, 2, 3, 4});
}

}  // namespace

std::vector<OpCase> network_cases() {
  std::vector<OpCase> cases;
  add_softmax(cases);
  add_losses(cases);
  add_norms(cases);
  add_rotary(cases);
  add_gated(cases);
  add_batch_norm_relu(cases);
  add_convolutions(cases);
  add_pools(cases);
  add_dropouts(cases);
  for (OpCase& op : cases) op.tolerance_factor = 3;
  return cases;
}

}  // namespace taut::testing
