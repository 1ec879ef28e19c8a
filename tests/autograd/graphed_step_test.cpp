// What a graphed step is without a GPU: its function. And what its graphs note of gradients, which
// needs none. (tests/gpu/graphed_step_test.cpp has the graphs.)

#include "taut/autograd/graphed_step.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "src/autograd/grad_slots.h"
#include "src/autograd/graph_signature.h"
#include "taut/taut.h"

namespace taut::cuda {
namespace {

TEST(GraphedStep, CallsTheFunctionOnTheCpu) {
  const Tensor w = ones({3}).requires_grad_();
  int calls = 0;
  GraphedStep step = make_graphed(
      [&](TensorList in) {
        ++calls;
        return (in[0] * w).sum();
      },
      {.device = kCPU});
  for (int i = 1; i <= 5; ++i) {
    const Tensors result = step({full({3}, i, kFloat32)});
    ASSERT_EQ(result.size(), 1u);
    EXPECT_EQ(result[0].item<float>(), 3.0f * static_cast<float>(i));
    EXPECT_FALSE(result[0].requires_grad());
    EXPECT_EQ(calls, i);
  }
  EXPECT_EQ(step.graphs(), 0);
  EXPECT_EQ(step.fallback_reason(), "");
}

TEST(GraphedStep, TakesFunctionsWithOtherResults) {
  float seen = 0;
  GraphedStep nothing = make_graphed([&](TensorList in) { seen = in[0].item<float>(); },
                                     GraphedOptions{.device = kCPU});
  EXPECT_TRUE(nothing({full({}, 7.0)}).empty());
  EXPECT_EQ(seen, 7.0f);
  GraphedStep two =
      make_graphed([](TensorList in) { return Tensors{in[0] + 1, Tensor()}; }, {.device = kCPU});
  const Tensors results = two({zeros({2})});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_FALSE(results[1].defined());
  GraphedStep moved = std::move(two);
  EXPECT_EQ(moved({zeros({2})})[0].sum().item<float>(), 2.0f);
  const auto other = [](TensorList in) { return Tensors{in[0] * 3}; };
  EXPECT_EQ(moved.call({ones({2})}, "a key", other)[0].sum().item<float>(), 6.0f);
}

TEST(GraphedStep, ThrowsOnWhatTheFunctionThrows) {
  bool fails = true;
  GraphedStep step = make_graphed(
      [&](TensorList in) {
        if (fails) throw std::runtime_error("mine");
        return in[0];
      },
      {.device = kCPU});
  EXPECT_THROW(step({ones({2})}), std::runtime_error);
  fails = false;
  EXPECT_EQ(step({ones({2})})[0].sum().item<float>(), 2.0f);
}

TEST(GraphedStep, RefusesWhatItCannotTake) {
  const auto same = [](TensorList in) { return in[0]; };
  GraphedStep step = make_graphed(same, {.device = kCPU});
  EXPECT_THROW(step({ones({2}).requires_grad_()}), ValueError);
  EXPECT_THROW(step({Tensor()}), ValueError);
  EXPECT_THROW(make_graphed(same, {.warmup = -1}), ValueError);
  EXPECT_THROW(make_graphed(same, {.max_graphs = 0}), ValueError);
}

// ---- Signatures ---------------------------------------------------------------------------------

TEST(GraphSignature, TellsWhatAGraphDependsOn) {
  const auto of = [](const Tensors& inputs, const char* key = "") {
    return autograd::graph_signature(inputs, key);
  };
  const Tensor x = zeros({2, 3});
  const std::string first = of({x});
  EXPECT_EQ(of({ones({2, 3})}), first);  // values do not matter
  std::vector<std::string> others = {of({}),
                                     of({x, x}),
                                     of({zeros({3, 2})}),
                                     of({zeros({6})}),
                                     of({zeros({3, 2}).t()}),
                                     of({zeros({2, 3}, kFloat64)}),
                                     of({zeros({2, 3}, kInt64)}),
                                     of({x}, "a"),
                                     of({x}, "b")};
  const auto under = [&](const auto& /*mode*/) { others.push_back(of({x})); };
  under(NoGradGuard());
  under(InferenceMode());
  under(AutocastMode(DeviceType::cuda, kBFloat16));
  under(AutocastMode(DeviceType::cuda, kFloat16));
  under(AutocastMode(DeviceType::cuda, kFloat16, true, /*cache_enabled=*/false));
  under(AutocastMode(DeviceType::cpu, kBFloat16));
  set_float32_matmul_precision("high");
  others.push_back(of({x}));
  set_float32_matmul_precision("highest");
  for (size_t i = 0; i < others.size(); ++i) {
    EXPECT_NE(others[i], first) << i;
    for (size_t j = 0; j < i; ++j) EXPECT_NE(others[i], others[j]) << i << " " << j;
  }
  EXPECT_EQ(of({x}), first);
}

// ---- Note [Gradients of graphs] -----------------------------------------------------------------

using autograd::GradSlots;
using autograd::GradSlotsGuard;

template <class Work>
GradSlots noted(const Work& work) {
  GradSlots slots;
  {
    const GradSlotsGuard guard(slots);
    work();
  }
  slots.finish();
  return slots;
}

TEST(GradSlots, FitAnyGradientWhenItIsReplacedFirst) {
  const Tensor w = ones({3}).requires_grad_();
  w.set_grad(ones({3}));
  const GradSlots slots = noted([&] {
    w.set_grad(Tensor());
    (w * 2).sum().backward();
  });
  const Tensor left = w.grad();
  EXPECT_TRUE(slots.fit());
  w.set_grad(zeros({3}));
  EXPECT_TRUE(slots.fit());
  slots.apply();
  EXPECT_TRUE(w.grad().is_same(left));
}

TEST(GradSlots, FitOnlyTheGradientThatWasAddedTo) {
  const Tensor w = ones({3}).requires_grad_();
  const auto work = [&] { (w * 2).sum().backward(); };
  const GradSlots first = noted(work);
  const Tensor made = w.grad();
  EXPECT_FALSE(first.fit());  // there was none, and now there is
  w.set_grad(Tensor());
  EXPECT_TRUE(first.fit());
  first.apply();
  EXPECT_TRUE(w.grad().is_same(made));
  const GradSlots second = noted(work);
  EXPECT_TRUE(second.fit());
  w.grad().zero_();
  EXPECT_TRUE(second.fit());
  w.set_grad(zeros({3}));
  EXPECT_FALSE(second.fit());
}

TEST(GradSlots, FitOnlyTheGradientThatWasRead) {
  const Tensor w = ones({3}).requires_grad_();
  w.set_grad(ones({3}));
  optim::SGD sgd({w});
  const GradSlots slots = noted([&] {
    sgd.step();
    sgd.zero_grad();
  });
  EXPECT_FALSE(slots.fit());
  slots.undo();
}

TEST(GradSlots, AreLeftAsTheyWereWhenAskedTo) {
  const Tensor w = ones({3}).requires_grad_(), v = ones({3}).requires_grad_();
  const Tensor held = ones({3});
  w.set_grad(held);
  GradSlots slots;
  {
    const GradSlotsGuard guard(slots);
    w.set_grad(Tensor());
    (w * v).sum().backward();
  }
  EXPECT_TRUE(v.grad().defined());
  slots.undo();
  EXPECT_TRUE(w.grad().is_same(held));
  EXPECT_FALSE(v.grad().defined());
}

}  // namespace
}  // namespace taut::cuda
