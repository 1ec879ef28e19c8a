#include "taut/optim/optimizer.h"

#include <gtest/gtest.h>

#include "taut/taut.h"

namespace taut::optim {
namespace {

Tensor leaf(const Dims& shape, double value = 1.0) {
  return full(shape, value, TensorOptions(kFloat32).requires_grad(true));
}

TEST(Optimizer, ChecksItsGroups) {
  const Tensor a = leaf({2});
  EXPECT_THROW(SGD(Tensors{}), ValueError);
  EXPECT_THROW(SGD(Tensors{a, a}), ValueError);
  EXPECT_THROW(SGD(Tensors{a * 2}), ValueError);
  EXPECT_THROW(SGD({ParamGroup{{a}, {{"learning_rate", 0.1}}}}), ValueError);
  EXPECT_THROW(SGD(Tensors{a}, {.lr = -1}), ValueError);
  EXPECT_THROW(SGD(Tensors{a}, {.nesterov = true}), ValueError);
  EXPECT_THROW(Adam(Tensors{a}, {.betas = {1.0, 0.9}}), ValueError);
  SGD optimizer(Tensors{a});
  EXPECT_THROW(optimizer.add_param_group({{a}}), ValueError);
  EXPECT_EQ(optimizer.param_groups().size(), 1u);
  optimizer.add_param_group({{leaf({1})}, {{"lr", 0.5}}});
  EXPECT_EQ(optimizer.param_groups()[1].options.number("lr"), 0.5);
  EXPECT_EQ(optimizer.param_groups()[1].options.number("momentum"), 0.0);
}

TEST(Optimizer, EachGroupHasItsOptions) {
  const Tensor a = leaf({2}), b = leaf({2}), untouched = leaf({2});
  SGD optimizer({ParamGroup{{a}, {{"lr", 0.5}}}, ParamGroup{{b, untouched}, {}}}, {.lr = 0.25});
  (a.sum() + b.sum()).backward();
  optimizer.step();
  EXPECT_TRUE(equal(a.detach(), full({2}, 0.5)));
  EXPECT_TRUE(equal(b.detach(), full({2}, 0.75)));
  EXPECT_TRUE(equal(untouched.detach(), ones({2})));
  optimizer.zero_grad();
  EXPECT_FALSE(a.grad().defined());
}

TEST(Optimizer, RaisesVersionsSoThatStaleGraphsAreNoticed) {
  const Tensor w = leaf({2});
  SGD optimizer(Tensors{w}, {.lr = 0.1});
  const Tensor loss = (w * w).sum();
  loss.backward({}, /*retain_graph=*/true);
  optimizer.step();
  EXPECT_THROW(loss.backward(), AutogradError);
}

// 0.9 of the smallest denormal numbers rounds to themselves, and operations on them are slow.
TEST(Optimizer, StateOfADeadUnitDecaysToZero) {
  const Tensor w = leaf({40});
  SGD optimizer(Tensors{w}, {.lr = 1e-3, .momentum = 0.9});
  w.set_grad(ones({40}));
  optimizer.step();
  w.set_grad(zeros({40}));
  for (int i = 0; i < 1000; ++i) optimizer.step();
  EXPECT_TRUE(equal(optimizer.state_of(w).tensor("momentum_buffer"), zeros({40})));
  // Only while it steps.
  const Tensor tiny = full({40}, 1e-40);
  EXPECT_GT((tiny + tiny)[0].item<float>(), 0.0f);
}

TEST(Optimizer, WorksOnParametersThatAreNotContiguous) {
  const Tensor straight = rand({3, 4});
  const Tensor turned = straight.clone().t().contiguous().t();  // (3, 4), columns first
  ASSERT_FALSE(turned.is_contiguous());
  const Tensor grad = rand({3, 4});
  for (const Tensor& w : {straight, turned}) {
    w.requires_grad_();
    w.set_grad(grad.clone());
    Adam optimizer(Tensors{w}, {.lr = 0.1});
    optimizer.step();
    optimizer.step();
  }
  EXPECT_TRUE(equal(straight.detach(), turned.detach()));
  EXPECT_FALSE(turned.is_contiguous());
}

TEST(Optimizer, MixesDtypesAndLateParameters) {
  const Tensor a = leaf({2}), b = full({2}, 1.0, TensorOptions(kFloat64).requires_grad(true));
  SGD optimizer(Tensors{a, b}, {.lr = 0.1, .momentum = 0.5});
  a.set_grad(ones({2}));
  optimizer.step();
  b.set_grad(ones({2}, kFloat64));
  optimizer.step();
  EXPECT_NEAR(a.detach()[0].item<double>(), 1 - 0.1 - 0.15, 1e-6);
  EXPECT_NEAR(b.detach()[0].item<double>(), 0.9, 1e-12);
}

TEST(Optimizer, RunsAClosure) {
  const Tensor w = leaf({1}, 3.0);
  SGD optimizer(Tensors{w}, {.lr = 0.5});
  const NoGradGuard no_grad;
  const Tensor loss = optimizer.step([&] {
    optimizer.zero_grad();
    const Tensor result = w.square().sum();
    result.backward();
    return result;
  });
  EXPECT_EQ(loss.item<double>(), 9.0);
  EXPECT_EQ(w.item<double>(), 0.0);
}

// Trains for three steps, saves, trains on; another optimizer that loads goes on alike.
template <class O, class Options>
void expect_resumes(const Options& options) {
  const auto train = [](Optimizer& optimizer, const Tensor& w, int steps) {
    for (int i = 0; i < steps; ++i) {
      optimizer.zero_grad();
      (w.square() * tensor({1.0, 2.0, 3.0})).sum().backward();
      optimizer.step();
    }
  };
  const Tensor w = tensor({1.0, -2.0, 0.5}).requires_grad_();
  O first(Tensors{w}, options);
  train(first, w, 3);
  const Tensor copy = w.detach().clone().requires_grad_();
  O second(Tensors{copy}, Options{});
  // Through tensors, as a file holds them.
  second.load_state_dict(from_tensors(to_tensors(first.state_dict())));
  train(first, w, 3);
  train(second, copy, 3);
  EXPECT_TRUE(equal(w.detach(), copy.detach())) << first.name();
}

TEST(Optimizer, GoesOnFromItsState) {
  expect_resumes<SGD>(SGDOptions{.lr = 0.05, .momentum = 0.9, .nesterov = true});
  expect_resumes<Adam>(AdamOptions{.lr = 0.05, .betas = {0.8, 0.9}, .amsgrad = true});
  expect_resumes<AdamW>(AdamWOptions{.lr = 0.05});
  expect_resumes<RMSprop>(RMSpropOptions{.momentum = 0.5, .centered = true});
  expect_resumes<Adagrad>(AdagradOptions{.lr_decay = 0.1});
}

TEST(Optimizer, RefusesAStateOfAnotherShape) {
  const Tensor w = leaf({3});
  Adam optimizer(Tensors{w});
  w.set_grad(ones({3}));
  optimizer.step();
  OptimizerState state = optimizer.state_dict();
  Adam other(Tensors{leaf({4})});
  EXPECT_THROW(other.load_state_dict(state), ValueError);
  EXPECT_TRUE(other.state_dict().state.empty());
  Adam more(Tensors{leaf({3}), leaf({3})});
  EXPECT_THROW(more.load_state_dict(state), ValueError);
  EXPECT_THROW(from_tensors(StateDict{{"param_groups.1.lr", ones({1})}}), ValueError);
  EXPECT_THROW(from_tensors(StateDict{{"state.x.step", ones({1})}}), ValueError);
  EXPECT_THROW(from_tensors(StateDict{{"other", ones({1})}}), ValueError);
  // One that is put in by hand is refused by the step.
  optimizer.state_of(w).set("exp_avg", ones({1}));
  EXPECT_THROW(optimizer.step(), ValueError);
}

TEST(Optimizer, PrintsItsOptions) {
  const Adam optimizer(Tensors{leaf({1})});
  EXPECT_EQ(optimizer.str(),
            "Adam (\nParameter Group 0\n    lr: 0.001\n    betas: (0.9, 0.999)\n    eps: 1e-08\n"
            "    weight_decay: 0.0\n    amsgrad: False\n    maximize: False\n    "
            "decoupled_weight_decay: False\n    master_weights: False\n    state_dtype: None\n)");
}

TEST(LRScheduler, GoesOnFromItsState) {
  SGD a(Tensors{leaf({1})}, {.lr = 0.4}), b(Tensors{leaf({1})}, {.lr = 0.4});
  CosineAnnealingLR first(a, 7), second(b, 7);
  for (int i = 0; i < 3; ++i) first.step();
  second.load_state_dict(first.state_dict());
  b.load_state_dict(a.state_dict());
  first.step();
  second.step();
  EXPECT_EQ(first.get_last_lr(), second.get_last_lr());
  EXPECT_EQ(second.last_epoch(), 4);
}

// A schedule made of two others, and the optimizer that they are for.
struct Compound {
  explicit Compound(bool is_chain) : optimizer({ones({2}).requires_grad_()}, {.lr = 0.1}) {
    const std::vector<std::shared_ptr<LRScheduler>> parts = {
        std::make_shared<ConstantLR>(optimizer, 0.1, 2),
        std::make_shared<ExponentialLR>(optimizer, 0.9)};
    if (is_chain) {
      schedule = std::make_unique<ChainedScheduler>(parts);
    } else {
      schedule = std::make_unique<SequentialLR>(optimizer, parts, std::vector<int64_t>{3});
    }
  }
  SGD optimizer;
  std::unique_ptr<LRScheduler> schedule;
};

TEST(LRScheduler, CompoundsGoOnFromTheirState) {
  for (bool is_chain : {false, true}) {
    Compound whole(is_chain), first(is_chain), second(is_chain);
    for (int i = 0; i < 5; ++i) {
      whole.schedule->step();
      first.schedule->step();
    }
    second.optimizer.load_state_dict(first.optimizer.state_dict());
    second.schedule->load_state_dict(first.schedule->state_dict());
    for (int i = 0; i < 5; ++i) {
      whole.schedule->step();
      second.schedule->step();
      EXPECT_EQ(whole.schedule->get_last_lr(), second.schedule->get_last_lr()) << is_chain << i;
    }
  }
}

TEST(LRScheduler, OneCycleEnds) {
  Adam optimizer(Tensors{leaf({1})});
  OneCycleLR schedule(optimizer, {.max_lr = 1.0, .epochs = 2, .steps_per_epoch = 5});
  EXPECT_DOUBLE_EQ(optimizer.param_groups()[0].options.numbers("betas")[0], 0.95);
  for (int i = 1; i < 10; ++i) schedule.step();
  EXPECT_THROW(schedule.step(), ValueError);
  EXPECT_THROW(OneCycleLR(optimizer, {.max_lr = 1.0}), ValueError);
}

}  // namespace
}  // namespace taut::optim
