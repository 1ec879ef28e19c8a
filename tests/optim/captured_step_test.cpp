// The host's part of captured steps, without a GPU: each replay is a step of an optimizer that was
// never captured, to the bit. (tests/gpu/graph_test.cpp has the graphs.)

#include "src/optim/captured_step.h"

#include <gtest/gtest.h>

#include <memory>

#include "src/optim/step_rules.h"
#include "taut/taut.h"

namespace taut::optim {
namespace {

using Make = std::unique_ptr<Optimizer> (*)(Tensors params);

template <class T, auto... options>
std::unique_ptr<Optimizer> make(Tensors params) {
  return std::make_unique<T>(std::move(params), options()...);
}

struct OptimizerCase {
  const char* name;
  Make make;
  StepRule (*rule)();
};

const OptimizerCase kCases[] = {
    {"sgd", make<SGD, [] { return SGDOptions{.lr = 0.1, .weight_decay = 0.1, .maximize = true}; }>,
     sgd_rule},
    {"momentum", make<SGD, [] { return SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.2}; }>,
     sgd_rule},
    {"nesterov", make<SGD, [] { return SGDOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true}; }>,
     sgd_rule},
    {"adam",
     make<Adam, [] { return AdamOptions{.lr = 0.1, .weight_decay = 0.1, .amsgrad = true}; }>,
     adam_rule},
    {"adamw", make<AdamW, [] { return AdamWOptions{.lr = 0.1, .maximize = true}; }>, adam_rule},
    {"adam_bfloat16",
     make<Adam,
          [] {
            AdamOptions options{.lr = 0.1, .amsgrad = true};
            options.state_dtype = kBFloat16;
            return options;
          }>,
     adam_rule},
    {"momentum_int8",
     make<SGD,
          [] {
            SGDOptions options{.lr = 0.1, .momentum = 0.9};
            options.state_dtype = kInt8;
            return options;
          }>,
     sgd_rule},
    {"rmsprop",
     make<RMSprop, [] { return RMSpropOptions{.lr = 0.1, .momentum = 0.9, .centered = true}; }>,
     rmsprop_rule},
    {"adagrad",
     make<Adagrad,
          [] {
            return AdagradOptions{.lr = 0.1, .lr_decay = 0.5, .initial_accumulator_value = 0.25};
          }>,
     adagrad_rule},
};

using Steps = std::vector<std::unique_ptr<CapturedStep>>;

// What a capture would keep of a step.
Steps captured_steps(Optimizer& optimizer, const StepRule& rule) {
  Steps steps;
  for (size_t g = 0; g < optimizer.param_groups().size(); ++g) {
    for (StepList& list : make_step_lists(optimizer, optimizer.param_groups()[g], rule)) {
      steps.push_back(std::make_unique<CapturedStep>(optimizer, g, std::move(list), rule));
    }
  }
  return steps;
}

// The same parameters twice, with gradients at addresses that stay.
struct Twins {
  Tensors captured, plain;

  Twins() {
    for (const Dims& shape : {Dims{9}, Dims{3, 4}, Dims{}, Dims{64, 65}}) {
      const Tensor value = randn(shape);
      for (Tensors* list : {&captured, &plain}) {
        list->push_back(value.clone().requires_grad_());
        list->back().set_grad(zeros(shape));
      }
    }
  }
  void draw_gradients() const {
    for (size_t i = 0; i < captured.size(); ++i) {
      const Tensor grad = randn(captured[i].shape());
      captured[i].grad().copy_(grad);
      plain[i].grad().copy_(grad);
    }
  }
};

void expect_same(const Twins& twins, const Optimizer& got, const Optimizer& expected,
                 const std::string& what) {
  for (size_t i = 0; i < twins.captured.size(); ++i) {
    EXPECT_TRUE(equal(twins.captured[i].detach(), twins.plain[i].detach())) << what << " " << i;
  }
  const OptimizerState a = got.state_dict(), b = expected.state_dict();
  ASSERT_EQ(a.state.size(), b.state.size()) << what;
  for (size_t i = 0; i < a.state.size(); ++i) {
    ASSERT_EQ(a.state[i].second.size(), b.state[i].second.size()) << what;
    for (const auto& [key, value] : b.state[i].second) {
      if (key == "step") {
        EXPECT_EQ(a.state[i].second.integer("step"), std::get<int64_t>(value)) << what;
      } else {
        EXPECT_TRUE(equal(a.state[i].second.tensor(key), std::get<Tensor>(value))) << what << key;
      }
    }
  }
}

void replay(const Steps& steps) {
  for (const auto& step : steps) step->replay();
}

TEST(CapturedStep, IsAStepAtEachReplay) {
  for (const OptimizerCase& row : kCases) {
    for (int warmup : {0, 2}) {
      const Twins twins;
      const auto captured = row.make(twins.captured), plain = row.make(twins.plain);
      for (int i = 0; i < warmup; ++i) {
        twins.draw_gradients();
        captured->step();
        plain->step();
      }
      const Steps steps = captured_steps(*captured, row.rule());
      for (int i = 0; i < 4; ++i) {
        twins.draw_gradients();
        replay(steps);
        plain->step();
        expect_same(twins, *captured, *plain, concat(row.name, " step ", i, " after ", warmup));
      }
    }
  }
}

TEST(CapturedStep, FollowsOptionsSchedulesAndLoadedStates) {
  for (const OptimizerCase& row : kCases) {
    const Twins twins;
    const auto captured = row.make(twins.captured), plain = row.make(twins.plain);
    const Steps steps = captured_steps(*captured, row.rule());
    const bool cycles = captured->defaults().contains("betas");
    const OneCycleOptions cycle{.max_lr = 0.3, .total_steps = 20, .cycle_momentum = cycles};
    OneCycleLR schedule(*captured, cycle), plain_schedule(*plain, cycle);
    const OptimizerState fresh = captured->state_dict();
    for (int i = 0; i < 8; ++i) {
      if (i == 3) {
        captured->param_groups()[0].options.set("weight_decay", 0.3);
        plain->param_groups()[0].options.set("weight_decay", 0.3);
      }
      if (i == 5) {  // no state at all, as at the start
        captured->load_state_dict(fresh);
        plain->load_state_dict(fresh);
      }
      twins.draw_gradients();
      replay(steps);
      schedule.step();
      plain->step();
      plain_schedule.step();
      expect_same(twins, *captured, *plain, concat(row.name, " step ", i));
    }
  }
}

TEST(CapturedStep, RaisesVersionsAndMixesWithOrdinarySteps) {
  const Twins twins;
  Adam captured(twins.captured, {.lr = 0.1}), plain(twins.plain, {.lr = 0.1});
  const Steps steps = captured_steps(captured, adam_rule());
  for (int i = 0; i < 4; ++i) {
    twins.draw_gradients();
    const uint32_t before = twins.captured[0].version();
    if (i % 2 == 0) {
      replay(steps);
    } else {
      captured.step();
    }
    EXPECT_GT(twins.captured[0].version(), before);
    plain.step();
  }
  expect_same(twins, captured, plain, "mixed");
}

TEST(CapturedStep, KeepsToItsParametersWhenOthersJoin) {
  const Twins twins;
  Adam captured(twins.captured, {.lr = 0.1}), plain(twins.plain, {.lr = 0.1});
  const Steps steps = captured_steps(captured, adam_rule());
  for (int i = 0; i < 20; ++i) {
    captured.add_param_group({{ones({2}).requires_grad_()}, {{"lr", 0.5}}});
  }
  twins.draw_gradients();
  replay(steps);
  plain.step();
  expect_same(twins, captured, plain, "joined");
}

TEST(CapturedStep, RefusesWhatIsGoneOrMoved) {
  const Twins twins;
  auto optimizer = std::make_unique<Adam>(twins.captured);
  const Steps steps = captured_steps(*optimizer, adam_rule());
  twins.draw_gradients();
  replay(steps);
  optimizer.reset();
  try {
    replay(steps);
    ADD_FAILURE() << "stepped without an optimizer";
  } catch (const CudaError& error) {
    EXPECT_NE(std::string(error.what()).find("optimizer whose step was captured is gone"),
              std::string::npos);
  }
  const Tensor w = ones({3}).requires_grad_();
  w.set_grad(ones({3}));
  SGD sgd({w});
  const Steps moved = captured_steps(sgd, sgd_rule());
  replay(moved);
  autograd::set_data(w, zeros({3}));
  EXPECT_THROW(replay(moved), CudaError);
}

TEST(CapturedStep, KnowsWhichFirstStepsAreJoinedTogether) {
  const Tensor early = ones({3}).requires_grad_(), late = ones({3}).requires_grad_();
  SGD sgd({early, late}, {.lr = 0.1, .momentum = 0.5});
  early.set_grad(ones({3}));
  sgd.step();
  late.set_grad(ones({3}));
  const Steps steps = captured_steps(sgd, sgd_rule());
  EXPECT_EQ(steps.size(), 2u);
  replay(steps);
  replay(steps);
  EXPECT_FLOAT_EQ(late.detach().data_ptr<float>()[0], 1.0f - 0.1f - 0.15f);
  sgd.state_of(early).clear();
  EXPECT_NO_THROW(replay(steps));
  const Steps together = captured_steps(sgd, sgd_rule());
  EXPECT_EQ(together.size(), 1u);
  sgd.state_of(early).clear();
  EXPECT_THROW(replay(together), CudaError);
}

}  // namespace
}  // namespace taut::optim
