// Steps under the control of a gradient scaler, against the same optimizer without one: called off
// steps leave no trace, in numbers or in counts.

#include <gtest/gtest.h>

#include <memory>

#include "taut/taut.h"

namespace taut::optim {
namespace {

using Make = std::unique_ptr<Optimizer> (*)(Tensors params);

struct OptimizerCase {
  const char* name;
  Make make;
};

const OptimizerCase kCases[] = {
    {"sgd",
     [](Tensors p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<SGD>(std::move(p), SGDOptions{.lr = 0.1, .weight_decay = 0.1});
     }},
    {"momentum",
     [](Tensors p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<SGD>(std::move(p), SGDOptions{.lr = 0.1, .momentum = 0.9});
     }},
    {"dampening",
     [](Tensors p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<SGD>(std::move(p),
                                    SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.5});
     }},
    {"adam",
     [](Tensors p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<Adam>(std::move(p), AdamOptions{.lr = 0.1, .amsgrad = true});
     }},
    {"adamw",
     [](Tensors p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<AdamW>(std::move(p), AdamWOptions{.lr = 0.1});
     }},
    {"rmsprop",
     [](Tensors p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<RMSprop>(std::move(p), RMSpropOptions{.lr = 0.1});
     }},
    {"adagrad",
     [](Tensors p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<Adagrad>(std::move(p), AdagradOptions{.lr = 0.1, .lr_decay = 0.5});
     }},
};

Tensor leaf(int64_t n) { return ones({n}).requires_grad_(); }

void expect_same_states(const Optimizer& got, const Optimizer& expected, const char* name) {
  const OptimizerState a = got.state_dict(), b = expected.state_dict();
  ASSERT_EQ(a.state.size(), b.state.size()) << name;
  for (size_t i = 0; i < a.state.size(); ++i) {
    const Values& mine = a.state[i].second;
    for (const auto& [key, value] : b.state[i].second) {
      if (key == "step") {
        EXPECT_EQ(mine.integer("step"), std::get<int64_t>(value)) << name << " " << i;
      } else {
        EXPECT_TRUE(equal(mine.tensor(key), std::get<Tensor>(value))) << name << " " << key;
      }
    }
  }
}

TEST(ControlledStep, CalledOffStepsLeaveNoTrace) {
  for (const OptimizerCase& row : kCases) {
    manual_seed(5);
    const Tensor mine = leaf(9), late = leaf(4), own = leaf(9), own_late = leaf(4);
    const auto controlled = row.make({mine, late}), plain = row.make({own, own_late});
    ASSERT_TRUE(controlled->takes_control());
    const bool called_off[] = {true, false, true, true, false, false};
    for (int i = 0; i < 6; ++i) {
      const Tensor grad = randn({9}), late_grad = randn({4});
      mine.set_grad(grad * 4.0);
      // A parameter that joins late misses the steps before, called off or not.
      if (i >= 3) late.set_grad(late_grad * 4.0);
      const StepControl control{full({}, 0.25), full({}, called_off[i] ? 1.0 : 0.0)};
      controlled->controlled_step(control);
      if (called_off[i]) continue;
      own.set_grad(grad);
      if (i >= 3) own_late.set_grad(late_grad);
      plain->step();
    }
    EXPECT_TRUE(equal(mine.detach(), own.detach())) << row.name;
    EXPECT_TRUE(equal(late.detach(), own_late.detach())) << row.name;
    expect_same_states(*controlled, *plain, row.name);
  }
}

TEST(ControlledStep, CountsAreTrueWhereverTheyAreRead) {
  const Tensor w = leaf(3);
  Adam optimizer(Tensors{w}, {.lr = 0.1});
  const auto step = [&](bool is_called_off) {
    w.set_grad(ones({3}));
    optimizer.controlled_step({Tensor(), full({}, is_called_off ? 1.0 : 0.0)});
  };
  step(false);
  step(true);
  step(false);
  EXPECT_EQ(optimizer.state_dict().state[0].second.integer("step"), 2);
  EXPECT_EQ(optimizer.state_of(w).integer("step"), 2);
  EXPECT_EQ(optimizer.state_dict().state[0].second.integer("step"), 2);
  step(true);
  const Tensor joined = leaf(2);
  optimizer.add_param_group({{joined}});
  joined.set_grad(ones({2}));
  step(true);
  step(false);
  EXPECT_EQ(optimizer.state_of(w).integer("step"), 3);
  EXPECT_EQ(optimizer.state_of(joined).integer("step"), 1);
  // A loaded state starts anew, and an ordinary step goes on from there.
  step(true);
  optimizer.load_state_dict(optimizer.state_dict());
  EXPECT_EQ(optimizer.state_of(w).integer("step"), 3);
  optimizer.step();
  EXPECT_EQ(optimizer.state_of(w).integer("step"), 4);
}

TEST(ControlledStep, AnOrdinaryStepBetweenCountsRight) {
  const Tensor w = leaf(3), own = leaf(3);
  Adam optimizer(Tensors{w}, {.lr = 0.1}), plain(Tensors{own}, {.lr = 0.1});
  w.set_grad(ones({3}));
  own.set_grad(ones({3}));
  optimizer.controlled_step({Tensor(), full({}, 1.0)});
  optimizer.step();
  plain.step();
  EXPECT_TRUE(equal(w.detach(), own.detach()));
}

}  // namespace
}  // namespace taut::optim
