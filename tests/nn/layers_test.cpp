// Layers against numbers and properties that their definitions give.

#include <gtest/gtest.h>

#include <cmath>

#include "taut/taut.h"

namespace taut::nn {
namespace {

TEST(Init, LinearStartsWithinItsBounds) {
  manual_seed(1);
  const Linear layer(400, 300);
  const double bound = 1.0 / std::sqrt(400.0);
  const double most = layer.weight.detach().abs().max().item<double>();
  EXPECT_LE(most, bound);
  EXPECT_GT(most, 0.99 * bound);
  EXPECT_NEAR(layer.weight.detach().mean().item<double>(), 0.0, 1e-3);
  EXPECT_NEAR(taut::std(layer.weight.detach()).item<double>(), bound / std::sqrt(3.0), 1e-3);
  EXPECT_LE(layer.bias.detach().abs().max().item<double>(), bound);
}

TEST(Init, Distributions) {
  manual_seed(2);
  const Tensor w = empty({200, 300});
  EXPECT_NEAR(taut::std(init::xavier_normal_(w)).item<double>(), std::sqrt(2.0 / 500), 1e-3);
  EXPECT_NEAR(init::xavier_uniform_(w).max().item<double>(), std::sqrt(6.0 / 500), 1e-3);
  EXPECT_NEAR(taut::std(init::kaiming_normal_(w, 0, "fan_out", "relu")).item<double>(),
              std::sqrt(2.0 / 200), 1e-3);
  init::trunc_normal_(w, 0.0, 1.0, -1.0, 2.0);
  EXPECT_GE(w.min().item<double>(), -1.0);
  EXPECT_LE(w.max().item<double>(), 2.0);
  EXPECT_NEAR(w.mean().item<double>(), 0.2296, 0.01);  // of the normal distribution cut at -1 and 2
  EXPECT_TRUE(equal(init::eye_(empty({2, 3})), eye(2, 3)));
  EXPECT_THROW(init::kaiming_normal_(ones({3})), ValueError);
  EXPECT_THROW(init::calculate_gain("nothing"), ValueError);
  const Tensor x = rand({1, 4, 5, 5});
  EXPECT_TRUE(
      allclose(functional::conv2d(x, init::dirac_(empty({4, 4, 3, 3})), Tensor(), {1}, {1}), x));
}

TEST(Linear, HasGradientsWithoutFeatures) {
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>{4, 0}, {0, 5}, {0, 0}}) {
    const Tensor x = randn({2, 3, in}).requires_grad_();
    const Tensor weight = randn({out, in}).requires_grad_();
    const Tensor bias = randn({out}).requires_grad_();
    functional::linear(x, weight, bias).sum().backward();
    EXPECT_TRUE(equal(x.grad(), zeros(x.shape())));
    EXPECT_TRUE(equal(weight.grad(), zeros(weight.shape())));
    EXPECT_TRUE(equal(bias.grad(), full({out}, 6.0)));
  }
}

TEST(Conv, SamePaddingKeepsTheSize) {
  for (int64_t kernel : {1, 2, 3, 4, 5}) {
    Conv2d layer(2, 3, kernel, {.padding = "same", .dilation = 2});
    EXPECT_EQ(layer(rand({1, 2, 7, 9})).shape(), (Dims{1, 3, 7, 9})) << kernel;
  }
  // One zero more after the input than before it.
  Conv1d layer(1, 1, 2, {.padding = "same", .bias = false});
  init::ones_(layer.weight);
  EXPECT_TRUE(
      equal(layer(tensor({1.0, 2.0, 3.0}).view({1, 1, 3})).flatten(), tensor({3.0, 5.0, 3.0})));
  const Tensor x = rand({2, 3, 5, 6});
  const Tensor w = rand({4, 3, 2, 4});
  const Tensor padded = constant_pad_nd(x, {1, 2, 0, 1}, 0);
  using functional::PaddingWord;
  EXPECT_TRUE(allclose(functional::conv2d(x, w, Tensor(), {1}, PaddingWord::same),
                       functional::conv2d(padded, w)));
  EXPECT_TRUE(equal(functional::conv2d(x, w, Tensor(), {2}, PaddingWord::valid),
                    functional::conv2d(x, w, Tensor(), {2})));
  EXPECT_THROW(functional::conv2d(x, w, Tensor(), {2}, PaddingWord::same), ValueError);
  EXPECT_THROW(Conv1d(1, 1, 3, {.stride = 2, .padding = "same"}), ValueError);
  EXPECT_THROW(Conv1d(1, 1, 3, {.padding = "full"}), ValueError);
  EXPECT_THROW(Conv1d(1, 1, 3, {.padding_mode = "reflect"}), NotImplementedError);
  EXPECT_THROW(Conv1d(3, 4, 3, {.groups = 2}), ValueError);
}

TEST(Conv, TransposeUndoesTheShape) {
  Conv2d down(3, 8, 3, {.stride = 2, .padding = 1});
  ConvTranspose2d up(8, 3, 3, {.stride = 2, .padding = 1, .output_padding = 1});
  EXPECT_EQ(up(down(rand({2, 3, 8, 8}))).shape(), (Dims{2, 3, 8, 8}));
  ConvTranspose1d line(2, 4, 3, {.groups = 2});
  EXPECT_EQ(line(rand({1, 2, 5})).shape(), (Dims{1, 4, 7}));
  EXPECT_EQ(Conv3d(1, 2, 3)(rand({1, 1, 4, 4, 4})).shape(), (Dims{1, 2, 2, 2, 2}));
}

TEST(BatchNorm, AveragesOverAllBatchesWithoutMomentum) {
  BatchNorm1d norm(1, 1e-5, std::nullopt);
  norm(tensor({0.0, 2.0}).view({2, 1}));
  norm(tensor({4.0, 8.0}).view({2, 1}));
  EXPECT_FLOAT_EQ(norm.running_mean.item<float>(), 3.5f);  // of 1 and 6
  EXPECT_FLOAT_EQ(norm.running_var.item<float>(), 5.0f);   // of 2 and 8, each with n - 1
  EXPECT_EQ(norm.num_batches_tracked.item<int64_t>(), 2);
  norm.eval();
  EXPECT_NEAR(norm(tensor({3.5}).view({1, 1})).item<double>(), 0.0, 1e-6);
  EXPECT_EQ(norm.num_batches_tracked.item<int64_t>(), 2);
  EXPECT_THROW(norm(ones({2, 1, 3, 3})), ShapeError);
}

TEST(Norm, GivesMeanZeroAndVarianceOne) {
  const Tensor x = rand({4, 6, 5, 5}) * 3 + 1;
  LayerNorm layer({5, 5});
  const Tensor y = layer(x);
  EXPECT_NEAR(y.mean({2, 3}).abs().max().item<double>(), 0.0, 1e-5);
  EXPECT_NEAR(y.var({2, 3}, 0).max().item<double>(), 1.0, 1e-3);
  EXPECT_TRUE(allclose(GroupNorm(6, 6)(x), InstanceNorm2d(6)(x), 1e-4, 1e-5));
  EXPECT_TRUE(allclose(InstanceNorm2d(6)(x)[1], InstanceNorm2d(6)(x[1]), 1e-4, 1e-5));
  EXPECT_NEAR(RMSNorm(5)(x).square().mean().item<double>(), 1.0, 1e-4);
  EXPECT_THROW(GroupNorm(4, 6), ValueError);
}

TEST(InstanceNorm, KeepsStatisticsForEvalMode) {
  InstanceNorm1d norm(2, 1e-5, 0.5, /*affine=*/true, /*track_running_stats=*/true);
  const Tensor x = tensor({0.0, 2.0, 4.0, 8.0, 1.0, 1.0, 5.0, 1.0}).view({2, 2, 2});
  const Tensor y = norm(x);
  EXPECT_TRUE(allclose(y, InstanceNorm1d(2)(x)));
  // Means over the samples: of the means 1, 6 and 1, 3, and of the variances 2, 8 and 0, 8.
  EXPECT_TRUE(allclose(norm.running_mean, tensor({0.5, 2.25})));
  EXPECT_TRUE(allclose(norm.running_var, tensor({1.0, 4.5})));
  EXPECT_EQ(norm.num_batches_tracked.item<int64_t>(), 0);
  norm.eval();
  const Tensor mean = norm.running_mean.clone();
  const Tensor centre = x - mean.view({2, 1});
  EXPECT_TRUE(allclose(norm(x), centre / (norm.running_var.view({2, 1}) + 1e-5).sqrt()));
  EXPECT_TRUE(equal(norm.running_mean, mean));
  EXPECT_EQ(norm.state_dict().size(), 5u);
  EXPECT_THROW(functional::instance_norm(x, mean), ValueError);
  EXPECT_THROW(functional::instance_norm(x, {}, {}, {}, {}, /*use_input_stats=*/false), ValueError);
  EXPECT_THROW(functional::instance_norm(x.narrow(2, 0, 1)), ValueError);
}

TEST(Dropout, ActsInTrainingOnly) {
  manual_seed(3);
  Dropout layer(0.25);
  const Tensor x = ones({10000});
  const Tensor y = layer(x);
  EXPECT_NEAR(y.mean().item<double>(), 1.0, 0.03);
  EXPECT_NEAR(y.eq(0).to(kFloat32).mean().item<double>(), 0.25, 0.02);
  layer.eval();
  EXPECT_TRUE(equal(layer(x), x));
  EXPECT_THROW(Dropout(1.5), ValueError);
}

TEST(Embedding, ThePaddingRowIsNotTrained) {
  Embedding table(5, 3, 2);
  EXPECT_EQ(table.weight.detach()[2].abs().sum().item<double>(), 0.0);
  table(tensor({2, 1, 1})).sum().backward();
  const Tensor grad = table.weight.grad();
  EXPECT_EQ(grad[2].sum().item<double>(), 0.0);
  EXPECT_EQ(grad[1].sum().item<double>(), 6.0);
  EXPECT_THROW(Embedding(5, 3, 5), IndexError);
}

TEST(Layers, ReshapeAndPool) {
  EXPECT_EQ(Flatten()(rand({2, 3, 4})).shape(), (Dims{2, 12}));
  EXPECT_EQ(Unflatten(1, {3, 4})(rand({2, 12})).shape(), (Dims{2, 3, 4}));
  EXPECT_EQ(MaxPool2d(2)(rand({1, 1, 6, 6})).shape(), (Dims{1, 1, 3, 3}));
  EXPECT_EQ(AvgPool2d(3, {.stride = 1, .padding = 1})(rand({1, 1, 6, 6})).shape(),
            (Dims{1, 1, 6, 6}));
  EXPECT_EQ(AdaptiveAvgPool2d({1, 1})(rand({1, 2, 6, 6})).shape(), (Dims{1, 2, 1, 1}));
  EXPECT_EQ(AdaptiveMaxPool2d(2)(rand({1, 2, 6, 6})).shape(), (Dims{1, 2, 2, 2}));
  EXPECT_EQ(AdaptiveAvgPool2d({std::nullopt, 3})(rand({1, 2, 6, 6})).shape(), (Dims{1, 2, 6, 3}));
  EXPECT_EQ(AdaptiveMaxPool1d(std::nullopt)(rand({1, 2, 6})).shape(), (Dims{1, 2, 6}));
  EXPECT_EQ(MaxPool1d(2)(rand({1, 1, 6})).shape(), (Dims{1, 1, 3}));
  EXPECT_EQ(Bilinear(2, 3, 4)(rand({5, 2}), rand({5, 3})).shape(), (Dims{5, 4}));
}

TEST(Activations, MeanWhatTheirFunctionsMean) {
  const Tensor x = tensor({-2.0, -0.5, 0.0, 0.5, 2.0});
  namespace F = functional;
  EXPECT_TRUE(equal(ReLU()(x), F::relu(x)));
  EXPECT_TRUE(equal(LeakyReLU(0.2)(x), F::leaky_relu(x, 0.2)));
  EXPECT_TRUE(equal(GELU()(x), F::gelu(x)));
  EXPECT_TRUE(equal(Hardtanh(-1, 0.25)(x), F::hardtanh(x, -1, 0.25)));
  EXPECT_TRUE(equal(PReLU(1, 0.5)(x), F::leaky_relu(x, 0.5)));
  EXPECT_TRUE(equal(Softmax(0)(x), softmax(x, 0)));
  EXPECT_TRUE(equal(Softmin(0)(x), F::softmin(x, 0)));
  EXPECT_TRUE(equal(Threshold(0.1, 20)(x), tensor({20.0, 20.0, 20.0, 0.5, 2.0})));
  const Tensor y = x.clone();
  ReLU(true)(y);
  EXPECT_TRUE(equal(y, F::relu(x)));
}

TEST(Losses, TakeInputAndTarget) {
  const Tensor logits = tensor({0.1, 0.7, -0.3, 0.2, 0.0, 0.4}).view({2, 3});
  const Tensor classes = tensor({1, 2});
  const double plain = CrossEntropyLoss()(logits, classes).item<double>();
  EXPECT_NEAR(plain, NLLLoss()(LogSoftmax(1)(logits), classes).item<double>(), 1e-6);
  EXPECT_GT(CrossEntropyLoss({.label_smoothing = 0.2})(logits, classes).item<double>(), plain);
  CrossEntropyLoss weighted({.weight = tensor({1.0, 2.0, 3.0}), .reduction = Reduction::sum});
  EXPECT_EQ(weighted.state_dict().keys(), std::vector<std::string>{"weight"});
  weighted(logits, classes);
  EXPECT_EQ(MSELoss(Reduction::none)(logits, logits).shape(), (Dims{2, 3}));
  EXPECT_EQ(L1Loss()(logits, logits).item<double>(), 0.0);
  EXPECT_NEAR(BCEWithLogitsLoss()(logits, ones({2, 3})).item<double>(),
              BCELoss()(Sigmoid()(logits), ones({2, 3})).item<double>(), 1e-6);
  EXPECT_EQ(TripletMarginLoss()(logits, logits, logits + 100).item<double>(), 0.0);
  EXPECT_THROW(MSELoss()(logits), NotImplementedError);
  EXPECT_THROW(MSELoss().call(Tensors{logits}), ValueError);
}

TEST(ClipGrad, BoundsNormAndValues) {
  const Tensor a = zeros({2}).requires_grad_(), b = zeros({1}).requires_grad_(),
               none = zeros({1}).requires_grad_();
  a.set_grad(tensor({2.0, -4.0}));
  b.set_grad(tensor({4.0}));
  const Tensors all{a, b, none};
  EXPECT_NEAR(utils::clip_grad_norm_(all, 100.0).item<double>(), 6.0, 1e-6);
  EXPECT_TRUE(equal(a.grad(), tensor({2.0, -4.0})));
  utils::clip_grad_norm_(all, 3.0);
  EXPECT_TRUE(allclose(a.grad(), tensor({1.0, -2.0})));
  EXPECT_NEAR(utils::get_total_norm(Tensors{a.grad(), b.grad()}).item<double>(), 3.0, 1e-5);
  utils::clip_grad_value_(all, 0.5);
  EXPECT_TRUE(equal(a.grad(), tensor({0.5, -0.5})));
  b.set_grad(full({1}, INFINITY));
  EXPECT_THROW(utils::clip_grad_norm_(all, 1.0, 2.0, true), ValueError);
}

TEST(ClipGrad, TakesDtypesAndLayoutsAsTheyCome) {
  manual_seed(4);
  const Tensor wide = randn({40, 30}), turned = randn({8, 50}).t(), low = randn({300}, kBFloat16);
  const Tensor exact = randn({70}, kFloat64), spread = randn({20}).slice(0, 0, 20, 2);
  const Tensors grads{wide, turned, low, exact, spread, zeros({0})};
  double squares = 0;
  Tensors parameters, before;
  for (const Tensor& grad : grads) {
    squares += pow(grad.to(kFloat64), 2).sum().item<double>();
    before.push_back(grad.clone());
    parameters.push_back(zeros_like(grad).requires_grad_());
    parameters.back().set_grad(grad);
  }
  const double norm = utils::clip_grad_norm_(parameters, 2.0).item<double>();
  EXPECT_NEAR(norm, std::sqrt(squares), 1e-6 * norm);
  for (size_t i = 0; i < grads.size(); ++i) {
    const double tolerance = grads[i].dtype() == kBFloat16 ? 8e-3 : 1e-6;
    const Tensor expected = before[i].to(kFloat64) * (2.0 / norm);
    EXPECT_TRUE(allclose(parameters[i].grad().to(kFloat64), expected, tolerance, 1e-7)) << i;
  }
}

TEST(ClipGrad, TellsGraphsThatGradientsHaveChanged) {
  const Tensor w = zeros({3}).requires_grad_(), x = ones({3}).requires_grad_();
  w.set_grad(full({3}, 4.0));
  const Tensor loss = (x * w.grad()).sum();
  utils::clip_grad_norm_(Tensors{w}, 1.0);
  EXPECT_THROW(loss.backward(), AutogradError);
}

TEST(ClipGrad, ParametersAsAVector) {
  Linear from(2, 3), into(2, 3);
  utils::vector_to_parameters(utils::parameters_to_vector(from.parameters()), into.parameters());
  EXPECT_TRUE(equal(from.weight.detach(), into.weight.detach()));
  EXPECT_THROW(utils::vector_to_parameters(ones({5}), into.parameters()), ShapeError);
}

}  // namespace
}  // namespace taut::nn
