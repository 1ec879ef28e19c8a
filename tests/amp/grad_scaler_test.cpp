// GradScaler on the CPU: what becomes of the scale, of gradients and of steps, and what it refuses.

#include "taut/amp/grad_scaler.h"

#include <gtest/gtest.h>

#include <limits>

#include "taut/taut.h"

namespace taut::amp {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor leaf(const Dims& shape, double value = 1.0) {
  return full(shape, value, TensorOptions(kFloat32).requires_grad(true));
}

GradScaler cpu_scaler(GradScalerOptions options = {.init_scale = 8.0}) {
  return GradScaler(DeviceType::cpu, options);
}

// An optimizer whose step knows nothing of a control.
class PlainDescent : public optim::Optimizer {
 public:
  explicit PlainDescent(Tensors params) : Optimizer(optim::one_group(std::move(params)), {}) {}
  void step() override {
    const NoGradGuard no_grad;
    ++steps;
    for (const Tensor& param : param_groups()[0].params) param.sub_(param.grad());
  }
  int steps = 0;
};

// A class of its own may do more than the step that it derives from.
class CountingSgd : public optim::SGD {
 public:
  using SGD::SGD;
  void step() override {
    ++steps;
    SGD::step();
  }
  int steps = 0;
};

TEST(GradScaler, ScalesLossesAndTakesTheScaleOffGradients) {
  const Tensor w = leaf({3});
  optim::SGD optimizer(Tensors{w}, {.lr = 0.5});
  GradScaler scaler = cpu_scaler();
  const Tensor loss = scaler.scale(w.sum());
  EXPECT_EQ(loss.item<double>(), 24.0);
  loss.backward();
  EXPECT_TRUE(equal(w.grad(), full({3}, 8.0)));
  scaler.step(optimizer);
  scaler.update();
  EXPECT_TRUE(equal(w.detach(), full({3}, 0.5)));
  EXPECT_EQ(scaler.get_scale(), 8.0);
  optimizer.zero_grad();
  scaler.scale(w.sum()).backward();
  scaler.unscale_(optimizer);
  EXPECT_TRUE(equal(w.grad(), ones({3})));
  scaler.step(optimizer);
  EXPECT_TRUE(equal(w.detach(), zeros({3}))) << "what is unscaled is not divided twice";
}

TEST(GradScaler, SkipsStepsThatAreNotFiniteAndBacksOff) {
  for (const double bad : {kInf, -kInf, std::numeric_limits<double>::quiet_NaN()}) {
    for (const bool unscales : {false, true}) {
      const Tensor w = leaf({5}), other = leaf({2});
      optim::SGD optimizer(Tensors{w, other}, {.lr = 0.5, .momentum = 0.9, .dampening = 0.1});
      GradScaler scaler = cpu_scaler();
      scaler.scale(w.sum() + other.sum()).backward();
      w.grad()[3].fill_(bad);
      if (unscales) scaler.unscale_(optimizer);
      scaler.step(optimizer);
      EXPECT_TRUE(scaler.found_inf(optimizer));
      scaler.update();
      EXPECT_TRUE(equal(w.detach(), ones({5})));
      EXPECT_TRUE(equal(other.detach(), ones({2}))) << "one bad gradient calls off the whole step";
      EXPECT_EQ(scaler.get_scale(), 4.0);
      EXPECT_FALSE(optimizer.state_of(w).contains("momentum_buffer"));
    }
  }
}

TEST(GradScaler, GrowsAfterAnIntervalOfGoodSteps) {
  const Tensor w = leaf({1});
  optim::SGD optimizer(Tensors{w}, {.lr = 0.0});
  GradScaler scaler = cpu_scaler({.init_scale = 4.0, .growth_factor = 3.0, .growth_interval = 3});
  const double expected[] = {4, 4, 12, 12, 12, 36, 36, 18, 18, 18, 54};
  for (size_t i = 0; i < std::size(expected); ++i) {
    scaler.scale(w.sum()).backward();
    if (i == 7) w.grad().fill_(kInf);
    scaler.step(optimizer);
    scaler.update();
    optimizer.zero_grad();
    EXPECT_EQ(scaler.get_scale(), expected[i]) << "step " << i;
  }
}

TEST(GradScaler, DoesNotGrowPastFloat32) {
  const Tensor w = leaf({1});
  optim::SGD optimizer(Tensors{w});
  GradScaler scaler = cpu_scaler({.init_scale = 2e38, .growth_interval = 1});
  w.set_grad(ones({1}));
  scaler.scale(w);
  scaler.step(optimizer);
  scaler.update();
  EXPECT_FLOAT_EQ(static_cast<float>(scaler.get_scale()), 2e38f);
}

TEST(GradScaler, RefusesCallsOutOfTurn) {
  const Tensor w = leaf({2});
  optim::SGD optimizer(Tensors{w});
  GradScaler scaler = cpu_scaler();
  EXPECT_THROW(scaler.step(optimizer), Error) << "no scale yet";
  scaler.scale(w.sum()).backward();
  EXPECT_THROW(scaler.update(), Error) << "nothing was found out";
  scaler.unscale_(optimizer);
  EXPECT_THROW(scaler.unscale_(optimizer), Error);
  scaler.step(optimizer);
  EXPECT_THROW(scaler.step(optimizer), Error);
  EXPECT_THROW(scaler.unscale_(optimizer), Error);
  scaler.update();
  EXPECT_NO_THROW(scaler.step(optimizer));
  optimizer.zero_grad();
  scaler.update();
  EXPECT_THROW(scaler.step(optimizer), Error) << "no gradient";
  EXPECT_THROW(cpu_scaler({.growth_factor = 1.0}), ValueError);
  EXPECT_THROW(cpu_scaler({.backoff_factor = 1.0}), ValueError);
}

TEST(GradScaler, RefusesToUnscaleFloat16) {
  const Tensor w = leaf({2}).detach().to(kFloat16).requires_grad_();
  w.set_grad(ones({2}, kFloat16));
  optim::SGD optimizer(Tensors{w});
  GradScaler scaler = cpu_scaler();
  scaler.scale(w);
  EXPECT_THROW(scaler.unscale_(optimizer), ValueError);
}

TEST(GradScaler, StepsOfOthersAreCalledOnlyWhenAllIsFinite) {
  const Tensor w = leaf({2});
  PlainDescent optimizer({w});
  GradScaler scaler = cpu_scaler();
  scaler.scale(w.sum()).backward();
  scaler.step(optimizer);
  scaler.update();
  EXPECT_EQ(optimizer.steps, 1);
  EXPECT_TRUE(equal(w.detach(), zeros({2})));
  w.grad().fill_(kInf);
  scaler.step(optimizer);
  EXPECT_EQ(optimizer.steps, 1);
  EXPECT_THROW(optimizer.controlled_step({}), NotImplementedError);
}

TEST(GradScaler, AStepThatIsOverriddenIsTheOneThatRuns) {
  const Tensor w = leaf({2});
  CountingSgd optimizer(Tensors{w}, optim::SGDOptions{.lr = 1.0});
  GradScaler scaler = cpu_scaler();
  scaler.scale(w.sum()).backward();
  w.grad()[0].fill_(kInf);
  scaler.step(optimizer);
  EXPECT_EQ(optimizer.steps, 0);
  scaler.update();
  w.grad().fill_(4.0);
  scaler.step(optimizer);
  EXPECT_EQ(optimizer.steps, 1);
  EXPECT_TRUE(equal(w.detach(), zeros({2})));
}

TEST(GradScaler, DisabledItPassesEverythingOn) {
  const Tensor w = leaf({2});
  optim::SGD optimizer(Tensors{w}, {.lr = 1.0});
  GradScaler scaler = cpu_scaler({.enabled = false});
  EXPECT_FALSE(scaler.is_enabled());
  EXPECT_EQ(scaler.get_scale(), 1.0);
  const Tensor loss = w.sum();
  EXPECT_TRUE(scaler.scale(loss).is_same(loss));
  loss.backward();
  scaler.unscale_(optimizer);
  scaler.step(optimizer);
  scaler.update();
  EXPECT_TRUE(equal(w.detach(), zeros({2})));
  EXPECT_TRUE(scaler.state_dict().empty());
}

TEST(GradScaler, ItsStateComesBack) {
  const Tensor w = leaf({1});
  optim::SGD optimizer(Tensors{w}, {.lr = 0.0});
  GradScaler scaler = cpu_scaler({.init_scale = 16.0, .growth_interval = 3});
  for (int i = 0; i < 2; ++i) {
    w.set_grad(ones({1}));
    scaler.scale(w);
    scaler.step(optimizer);
    scaler.update();
  }
  const optim::Values state = scaler.state_dict();
  EXPECT_EQ(state.number("scale"), 16.0);
  EXPECT_EQ(state.integer("_growth_tracker"), 2);
  GradScaler restored = cpu_scaler();
  restored.load_state_dict(state);
  EXPECT_EQ(restored.get_scale(), 16.0);
  restored.scale(w);
  restored.step(optimizer);
  restored.update();
  EXPECT_EQ(restored.get_scale(), 32.0) << "the third good step";
  EXPECT_THROW(restored.load_state_dict({}), Error);
  restored.update(5.0);
  EXPECT_EQ(restored.get_scale(), 5.0);
  restored.update(full({}, 6.0));
  EXPECT_EQ(restored.get_scale(), 6.0);
}

TEST(GradScaler, SharesOneScaleAmongOptimizers) {
  const Tensor a = leaf({2}), b = leaf({2});
  optim::SGD first(Tensors{a}, {.lr = 1.0}), second(Tensors{b}, {.lr = 1.0});
  GradScaler scaler = cpu_scaler();
  scaler.scale(a.sum() + b.sum()).backward();
  b.grad()[0].fill_(kInf);
  scaler.step(first);
  scaler.step(second);
  scaler.update();
  EXPECT_TRUE(equal(a.detach(), zeros({2}))) << "each optimizer is judged by its own gradients";
  EXPECT_TRUE(equal(b.detach(), ones({2})));
  EXPECT_EQ(scaler.get_scale(), 4.0);
}

}  // namespace
}  // namespace taut::amp
