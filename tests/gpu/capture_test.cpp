// Whole training steps in captured graphs: N replays leave the very bits that N steps leave, for
// every optimizer, with schedules, gradient scalers, clipping and dropout.

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>

#include "taut/core/cuda_graph.h"
#include "taut/taut.h"
#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

namespace F = nn::functional;
using optim::Optimizer;

TensorOptions gpu(DType dtype = kFloat32) { return TensorOptions(dtype).device(kCUDA); }

struct OptimizerCase {
  const char* name;
  std::unique_ptr<Optimizer> (*make)(Tensors params);
};

template <class T, auto... options>
std::unique_ptr<Optimizer> make(Tensors params) {
  return std::make_unique<T>(std::move(params), options()...);
}

const OptimizerCase kCases[] = {
    {"sgd", make<optim::SGD, [] { return optim::SGDOptions{.lr = 0.1, .weight_decay = 0.1}; }>},
    {"sgd_maximize",
     make<optim::SGD, [] { return optim::SGDOptions{.lr = 1e-3, .maximize = true}; }>},
    {"momentum", make<optim::SGD, [] { return optim::SGDOptions{.lr = 0.05, .momentum = 0.9}; }>},
    {"dampening",
     make<optim::SGD,
          [] { return optim::SGDOptions{.lr = 0.05, .momentum = 0.9, .dampening = 0.2}; }>},
    {"nesterov",
     make<optim::SGD,
          [] { return optim::SGDOptions{.lr = 0.05, .momentum = 0.9, .nesterov = true}; }>},
    {"adam", make<optim::Adam, [] { return optim::AdamOptions{.lr = 0.01}; }>},
    {"adam_decay",
     make<optim::Adam, [] { return optim::AdamOptions{.lr = 0.01, .weight_decay = 0.1}; }>},
    {"amsgrad", make<optim::Adam, [] { return optim::AdamOptions{.lr = 0.01, .amsgrad = true}; }>},
    {"adamw", make<optim::AdamW, [] { return optim::AdamWOptions{.lr = 0.01}; }>},
    {"adamw_bfloat16", make<optim::AdamW,
                            [] {
                              optim::AdamWOptions options{.lr = 0.01};
                              options.state_dtype = kBFloat16;
                              return options;
                            }>},
    {"adamw_maximize",
     make<optim::AdamW, [] { return optim::AdamWOptions{.lr = 1e-3, .maximize = true}; }>},
    {"rmsprop", make<optim::RMSprop, [] { return optim::RMSpropOptions{.lr = 0.01}; }>},
    {"rmsprop_centered",
     make<optim::RMSprop,
          [] { return optim::RMSpropOptions{.lr = 0.01, .momentum = 0.9, .centered = true}; }>},
    {"adagrad",
     make<optim::Adagrad, [] { return optim::AdagradOptions{.lr = 0.1, .lr_decay = 0.1}; }>},
};

struct Variant {
  bool has_schedule = false;
  bool has_scaler = false;
  bool clips = false;
  DType dtype = kFloat32;
};

// A small network, what trains it, and batches that are the same in every run.
class Training {
 public:
  Training(const OptimizerCase& row, const Variant& variant) : variant_(variant) {
    manual_seed(11);
    for (const Dims& shape : {Dims{40, 16}, Dims{40}, Dims{5, 40}, Dims{5}}) {
      params_.push_back((randn(shape, gpu()) * 0.3).to(variant.dtype).detach().requires_grad_());
    }
    optimizer_ = row.make(params_);
    if (variant.has_schedule) {
      // Where momentum is 0 there is nothing to cycle.
      const optim::Values& options = optimizer_->defaults();
      const bool cycles = options.contains("betas") ||
                          (options.contains("momentum") && options.number("momentum") != 0);
      schedule_ = std::make_unique<optim::OneCycleLR>(
          *optimizer_,
          optim::OneCycleOptions{.max_lr = 0.02, .total_steps = 40, .cycle_momentum = cycles});
    }
    x_ = zeros({32, 16}, gpu(variant.dtype));
    y_ = zeros({32, 5}, gpu(variant.dtype));
    for (int i = 0; i < kSteps; ++i) {
      xs_.push_back(randn({32, 16}, gpu()).to(variant.dtype));
      ys_.push_back(randn({32, 5}, gpu()).to(variant.dtype));
    }
    // Two overflows, one of them where others have their first replay.
    if (variant.has_scaler) {
      for (size_t i : {2, 5}) xs_[i].fill_(std::numeric_limits<double>::infinity());
    }
    manual_seed(12);
  }

  // The first steps as ops, the others as replays of a graph.
  void run(int as_ops) {
    for (int i = 0; i < as_ops; ++i) {
      load(i);
      step();
    }
    if (as_ops == kSteps) return;
    cuda::Graph graph;
    graph.capture([&] { step(); });
    for (int i = as_ops; i < kSteps; ++i) {
      load(i);
      graph.replay();
    }
    cuda::synchronize();
  }

  void expect_same(const Training& other, const std::string& what) const {
    for (size_t i = 0; i < params_.size(); ++i) {
      expect_same_bits(params_[i].detach(), other.params_[i].detach(), concat(what, " ", i));
    }
    const auto a = optimizer_->state_dict(), b = other.optimizer_->state_dict();
    ASSERT_EQ(a.state.size(), b.state.size()) << what;
    for (size_t i = 0; i < a.state.size(); ++i) {
      for (const auto& [key, value] : b.state[i].second) {
        if (key == "step") {
          EXPECT_EQ(a.state[i].second.integer("step"), std::get<int64_t>(value)) << what;
        } else {
          expect_same_bits(a.state[i].second.tensor(key), std::get<Tensor>(value), what + key);
        }
      }
    }
    EXPECT_EQ(a.param_groups[0].options.number("lr"), b.param_groups[0].options.number("lr"));
    EXPECT_EQ(scaler_.get_scale(), other.scaler_.get_scale()) << what;
  }

  static constexpr int kSteps = 9;

 private:
  void load(int i) {
    x_.copy_(xs_[static_cast<size_t>(i)]);
    y_.copy_(ys_[static_cast<size_t>(i)]);
  }
  void step() {
    optimizer_->zero_grad();
    const Tensor hidden = F::dropout(relu(F::linear(x_, params_[0], params_[1])), 0.2);
    const Tensor loss = F::mse_loss(F::linear(hidden, params_[2], params_[3]), y_);
    (variant_.has_scaler ? scaler_.scale(loss) : loss).backward();
    if (variant_.clips && variant_.has_scaler) scaler_.unscale_(*optimizer_);
    if (variant_.clips) nn::utils::clip_grad_norm_(params_, 0.5);
    if (variant_.has_scaler) {
      scaler_.step(*optimizer_);
      scaler_.update();
    } else {
      optimizer_->step();
    }
    if (schedule_) schedule_->step();
  }

  Variant variant_;
  Tensors params_, xs_, ys_;
  Tensor x_, y_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<optim::OneCycleLR> schedule_;
  amp::GradScaler scaler_{DeviceType::cuda, {.init_scale = 1024.0, .growth_interval = 3}};
};

class CudaCapture : public GpuTest {
 protected:
  static void compare(const OptimizerCase& row, const Variant& variant, int as_ops) {
    Training captured(row, variant), plain(row, variant);
    manual_seed(13);
    plain.run(Training::kSteps);
    manual_seed(13);
    captured.run(as_ops);
    captured.expect_same(
        plain, concat(row.name, variant.has_schedule ? " schedule" : "",
                      variant.has_scaler ? " scaler" : "", variant.clips ? " clipping" : "", " ",
                      variant.dtype, " after ", as_ops, " steps: "));
  }
};

// Under a tool every optimizer is replayed once, and what goes with it for the first alone: a
// replayed kernel takes the tool a thousand times as long.
std::vector<OptimizerCase> some_cases() {
  return first_under_tool<OptimizerCase>(1, {std::begin(kCases), std::end(kCases)});
}

TEST_F(CudaCapture, ReplaysEveryOptimizer) {
  for (const OptimizerCase& row : kCases) {
    for (int as_ops : first_under_tool<int>(1, {1, 3, 0})) compare(row, {}, as_ops);
  }
}

TEST_F(CudaCapture, ReplaysSchedules) {
  for (const OptimizerCase& row : some_cases()) {
    for (int as_ops : first_under_tool<int>(1, {2, 0}))
      compare(row, {.has_schedule = true}, as_ops);
  }
}

TEST_F(CudaCapture, ReplaysScalersAndTheirOverflows) {
  for (const OptimizerCase& row : some_cases()) {
    for (int as_ops : first_under_tool<int>(1, {1, 2, 3})) {
      compare(row, {.has_scaler = true}, as_ops);
      compare(row, {.has_schedule = true, .has_scaler = true, .clips = true}, as_ops);
    }
  }
}

TEST_F(CudaCapture, ReplaysClipping) {
  for (const OptimizerCase& row : some_cases()) compare(row, {.clips = true}, 2);
}

TEST_F(CudaCapture, ReplaysOtherDtypes) {
  for (const OptimizerCase& row : some_cases()) {
    compare(row, {.dtype = kBFloat16}, 2);
    compare(row, {.dtype = kFloat64}, 2);
  }
}

// ---- What optimizers in graphs can do besides
// -----------------------------------------------------

struct Parameters {
  Tensors params;
  explicit Parameters(int64_t count, double value = 1.0) {
    for (int64_t i = 0; i < count; ++i) {
      params.push_back(full({1 + i % 70}, value, gpu()).requires_grad_());
      params.back().set_grad(ones_like(params.back()).detach());
    }
  }
  void expect_same(const Parameters& other, const char* what) const {
    for (size_t i = 0; i < params.size(); ++i) {
      expect_same_bits(params[i].detach(), other.params[i].detach(), concat(what, " ", i));
    }
  }
};

TEST_F(CudaCapture, TakesMoreTensorsThanALaunchHolds) {
  for (int64_t count : first_under_tool<int64_t>(1, {60, 1000})) {
    const Parameters mine(count), own(count);
    optim::AdamW captured(mine.params, {.lr = 0.1}), plain(own.params, {.lr = 0.1});
    cuda::Graph graph;
    graph.capture([&] { captured.step(); });
    for (int i = 0; i < 4; ++i) {
      graph.replay();
      plain.step();
    }
    mine.expect_same(own, "many");
  }
}

TEST_F(CudaCapture, HoldsSeveralStepsGroupsAndOptimizers) {
  const Parameters mine(6), own(6);
  const auto groups_of = [](const Parameters& all) {
    return std::vector<optim::ParamGroup>{
        {{all.params[0], all.params[1]}, {{"lr", 0.3}}},
        {{all.params[2]}, {{"betas", std::vector<double>{0.5, 0.9}}}}};
  };
  optim::Adam captured(groups_of(mine), {.lr = 0.1}), plain(groups_of(own), {.lr = 0.1});
  optim::SGD sgd(Tensors{mine.params[3], mine.params[4]}, {.lr = 0.1, .momentum = 0.9});
  optim::SGD own_sgd(Tensors{own.params[3], own.params[4]}, {.lr = 0.1, .momentum = 0.9});
  cuda::Graph graph;
  graph.capture([&] {
    captured.step();
    sgd.step();
    captured.step();
  });
  EXPECT_TRUE(captured.state_dict().state.empty());  // a capture takes no step
  for (int i = 0; i < 5; ++i) {
    if (i == 2) {
      captured.param_groups()[0].options.set("lr", 0.01);
      plain.param_groups()[0].options.set("lr", 0.01);
      captured.load_state_dict(plain.state_dict());
    }
    if (i == 3) captured.add_param_group({{ones({3}, gpu()).requires_grad_()}});
    graph.replay();
    plain.step();
    own_sgd.step();
    plain.step();
  }
  mine.expect_same(own, "groups");
  EXPECT_EQ(captured.state_of(mine.params[0]).integer("step"), 10);
}

// What is on its way keeps its arguments.
TEST_F(CudaCapture, ManyReplaysMayBeOnTheirWay) {
  const Parameters mine(3), own(3);
  optim::Adam captured(mine.params, {.lr = 0.1}), plain(own.params, {.lr = 0.1});
  const Tensor a = rand({2048, 2048}, gpu());
  Tensor product = matmul(a, a);
  cuda::Graph graph;
  graph.capture([&] {
    product = matmul(a, a);
    captured.step();
  });
  for (int i = 0; i < 50; ++i) graph.replay();
  for (int i = 0; i < 50; ++i) plain.step();
  mine.expect_same(own, "on their way");
}

TEST_F(CudaCapture, WorksOnParametersThatAreNotContiguous) {
  const Tensor base = ones({4, 6}, gpu()), own_base = ones({4, 6}, gpu());
  const Tensor mine = base.detach().t().requires_grad_();
  const Tensor own = own_base.detach().t().requires_grad_();
  mine.set_grad(ones({6, 4}, gpu()));
  own.set_grad(ones({6, 4}, gpu()));
  optim::Adam captured(Tensors{mine}, {.lr = 0.1}), plain(Tensors{own}, {.lr = 0.1});
  cuda::Graph graph;
  graph.capture([&] { captured.step(); });
  for (int i = 0; i < 3; ++i) {
    graph.replay();
    plain.step();
  }
  expect_same_bits(mine.detach().contiguous(), own.detach().contiguous(), "transposed");
}

void expect_refusal(const char* words, const Callback<void()>& call) {
  try {
    call();
    ADD_FAILURE() << "expected: " << words;
  } catch (const CudaError& error) {
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

TEST_F(CudaCapture, RefusesWhatItCannotReach) {
  const Parameters on_gpu(2);
  const Tensor on_cpu = ones({3}).requires_grad_();
  on_cpu.set_grad(ones({3}));
  {
    optim::SGD mixed({on_gpu.params[0], on_cpu}, {.lr = 0.1});
    cuda::Graph graph;
    expect_refusal("a parameter on cpu", [&] { graph.capture([&] { mixed.step(); }); });
    EXPECT_EQ(on_cpu.detach().sum().item<float>(), 3.0f);
  }
  cuda::Graph graph;
  {
    optim::Adam adam(on_gpu.params);
    graph.capture([&] { adam.step(); });
    graph.replay();
  }
  expect_refusal("captured is gone", [&] { graph.replay(); });
  amp::GradScaler scaler;
  cuda::Graph early;
  expect_refusal("the first scale()",
                 [&] { early.capture([&] { scaler.scale(on_gpu.params[0].detach()); }); });
  optim::SGD dampened(on_gpu.params, {.lr = 0.1, .momentum = 0.9, .dampening = 0.5});
  scaler.scale(on_gpu.params[0].detach());
  expect_refusal("a first step with momentum and dampening",
                 [&] { early.capture([&] { scaler.step(dampened); }); });
  // What the capture that was given up noted is forgotten.
  scaler.step(dampened);
  scaler.update();
  cuda::synchronize();
}

}  // namespace
}  // namespace taut::testing
