// What `recompute` promises: the same bits, less memory held between forward and backward, and the
// errors of any other graph.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>

#include "taut/taut.h"

namespace taut {
namespace {

namespace F = nn::functional;

constexpr int64_t kRows = 256, kWidth = 128;
constexpr int64_t kBytes = kRows * kWidth * 4;  // of one activation

class Recompute : public ::testing::Test {
 protected:
  void SetUp() override {
    manual_seed(17);
    x_ = randn({kRows, kWidth});
    residual_ = randn({kRows, kWidth});
    weight_ = rand({kWidth}) + 0.5;
    bias_ = randn({kWidth});
    product_ = randn({kWidth, kWidth});
    wide_ = randn({4 * kWidth, kWidth});
    narrow_ = randn({kWidth, 4 * kWidth});
  }

  struct Result {
    Tensor loss;
    Tensors grads;
    int64_t held;  // bytes between forward and backward
  };

  // The loss of body(leaves), which are copies of all tensors that it may use.
  Result run(const std::function<Tensor(const Tensors&)>& body) const {
    Tensors leaves;
    for (const Tensor& value : {x_, residual_, weight_, bias_, product_, wide_, narrow_}) {
      leaves.push_back(value.clone().requires_grad_());
    }
    const auto before = static_cast<int64_t>(memory_stats().allocated);
    const Tensor loss = body(leaves);
    const int64_t held = static_cast<int64_t>(memory_stats().allocated) - before;
    loss.backward();
    Result result{loss.detach(), {}, held};
    for (const Tensor& leaf : leaves) result.grads.push_back(leaf.grad());
    return result;
  }

  // Both ways have the same bits; the memory differs by `saved` bytes.
  void compare(const std::function<Tensor(const Tensors&, bool recompute)>& body,
               int64_t saved) const {
    const Result plain = run([&](const Tensors& in) { return body(in, false); });
    const Result again = run([&](const Tensors& in) { return body(in, true); });
    EXPECT_TRUE(equal(plain.loss, again.loss));
    for (size_t i = 0; i < plain.grads.size(); ++i) {
      ASSERT_EQ(plain.grads[i].defined(), again.grads[i].defined()) << i;
      if (!plain.grads[i].defined()) continue;
      EXPECT_TRUE(equal(plain.grads[i], again.grads[i])) << i;
    }
    const auto saved_bytes = static_cast<double>(plain.held - again.held);
    EXPECT_NEAR(saved_bytes, static_cast<double>(saved), 0.02 * static_cast<double>(saved));
  }

  Tensor x_, residual_, weight_, bias_, product_, wide_, narrow_;
};

TEST_F(Recompute, OfNorms) {
  compare(
      [](const Tensors& in, bool recompute) {
        return matmul(F::layer_norm(in[0], {kWidth}, in[2], in[3], 1e-5, recompute), in[4]).sum();
      },
      kBytes);
  compare(
      [](const Tensors& in, bool recompute) {
        return matmul(F::rms_norm(in[0], {kWidth}, in[2], {}, recompute), in[4]).sum();
      },
      kBytes);
}

TEST_F(Recompute, OfNormsOfSums) {
  compare(
      [](const Tensors& in, bool recompute) {
        const auto [normal, sum] =
            F::add_layer_norm(in[0], in[1], {kWidth}, in[2], in[3], 1e-5, recompute);
        return (matmul(normal, in[4]) + sum).sum();
      },
      kBytes);
  compare(
      [](const Tensors& in, bool recompute) {
        const auto [normal, sum] = F::add_rms_norm(in[0], in[1], {kWidth}, in[2], 1e-5, recompute);
        return (matmul(normal, in[4]) + sum).sum();
      },
      kBytes);
}

TEST_F(Recompute, OfActivations) {
  for (const char* approximate : {"none", "tanh"}) {
    compare(
        [&](const Tensors& in, bool recompute) {
          return matmul(F::gelu(matmul(in[0], in[4]), approximate, recompute), in[4]).sum();
        },
        kBytes);
    const std::string activation = approximate == std::string("none") ? "gelu" : "gelu_tanh";
    compare(
        [&](const Tensors& in, bool recompute) {
          return F::mlp(in[0], in[5], in[6], Tensor(), in[3], activation, recompute).sum();
        },
        4 * kBytes);
  }
}

TEST_F(Recompute, ThroughViews) {
  compare(
      [](const Tensors& in, bool recompute) {
        const Tensor normal = F::layer_norm(in[0], {kWidth}, in[2], in[3], 1e-5, recompute);
        const Tensor heads = normal.view({kRows, 4, kWidth / 4}).transpose(0, 1);
        return matmul(heads, transpose(heads, 1, 2)).sum();
      },
      kBytes);
}

// What a product saves is a cast of the norm, in half the bytes.
TEST_F(Recompute, UnderAutocast) {
  compare(
      [](const Tensors& in, bool recompute) {
        const AutocastMode autocast(DeviceType::cpu, kBFloat16);
        const auto [normal, sum] =
            F::add_layer_norm(in[0], in[1], {kWidth}, in[2], in[3], 1e-5, recompute);
        const Tensor hidden = F::linear(normal.view({8, -1, kWidth}), in[5]);
        return (F::linear(F::gelu(hidden, "tanh", recompute), in[6]).sum() + sum.sum())
            .to(kFloat32);
      },
      kBytes / 2 + 4 * kBytes / 2);
}

TEST_F(Recompute, OfLayers) {
  nn::LayerNorm norm({kWidth}), again({kWidth}, 1e-5, true, true, {}, true);
  nn::GELU gelu, gelu_again("none", true);
  compare(
      [&](const Tensors& in, bool recompute) {
        const Tensor hidden = matmul(recompute ? again(in[0]) : norm(in[0]), in[4]);
        return matmul(recompute ? gelu_again(hidden) : gelu(hidden), in[4]).sum();
      },
      2 * kBytes);
  EXPECT_TRUE(again.str().find("recompute=True") != std::string::npos) << again.str();
}

// A result that was written to since is what its readers saved.
TEST_F(Recompute, EndsWithAnInPlaceWrite) {
  const auto body = [](const Tensors& in, bool recompute) {
    const Tensor normal = F::layer_norm(in[0], {kWidth}, in[2], in[3], 1e-5, recompute);
    normal.mul_(2);
    return matmul(normal, in[4]).sum();
  };
  const Result plain = run([&](const Tensors& in) { return body(in, false); });
  const Result again = run([&](const Tensors& in) { return body(in, true); });
  for (size_t i : {0, 2, 3, 4}) EXPECT_TRUE(equal(plain.grads[i], again.grads[i])) << i;
}

TEST_F(Recompute, RefusesAnInputThatChanged) {
  const Tensor x = x_.clone();
  const Tensor weight = product_.clone().requires_grad_(), scale = weight_.clone().requires_grad_();
  const Tensor loss = matmul(F::layer_norm(x, {kWidth}, scale, Tensor(), 1e-5, true), weight).sum();
  x.add_(1);
  EXPECT_THROW(loss.backward(), AutogradError);
}

TEST_F(Recompute, GoesThroughAGraphTwiceAndRefusesAFreedOne) {
  const Tensor x = x_.clone().requires_grad_(), weight = product_.clone().requires_grad_();
  const Tensor loss = matmul(F::gelu(x, "none", true), weight).sum();
  loss.backward({}, /*retain_graph=*/true);
  const Tensor first = weight.grad().clone();
  loss.backward();
  EXPECT_TRUE(equal(weight.grad(), first * 2));
  EXPECT_THROW(loss.backward(), AutogradError);
}

TEST_F(Recompute, HasSecondDerivatives) {
  const auto op = [](TensorList in) {
    const auto [normal, sum] = F::add_layer_norm(in[0], in[1], {5}, in[2], in[3], 1e-5, true);
    const Tensor hidden = matmul(normal.view({5, 3}), in[4]);
    return Tensors{F::gelu(hidden, "tanh", true).square() * hidden, sum};
  };
  const TensorOptions options(kFloat64);
  Tensors inputs;
  for (const Dims& shape : {Dims{3, 5}, Dims{3, 5}, Dims{5}, Dims{5}, Dims{3, 2}}) {
    inputs.push_back(randn(shape, options).requires_grad_());
  }
  EXPECT_TRUE(autograd::gradcheck(op, inputs));
  EXPECT_TRUE(autograd::gradgradcheck(op, inputs));
}

TEST_F(Recompute, LeavesNothingOnTheTapeWithoutGradients) {
  const NoGradGuard no_grad;
  EXPECT_TRUE(equal(F::gelu(x_, "none", true), F::gelu(x_)));
  EXPECT_TRUE(equal(F::layer_norm(x_, {kWidth}, weight_, bias_, 1e-5, true),
                    F::layer_norm(x_, {kWidth}, weight_, bias_)));
}

}  // namespace
}  // namespace taut
