// Optimizers with master weights: 16-bit parameters step as float32 ones do, and are their values
// rounded.

#include <gtest/gtest.h>

#include <memory>

#include "taut/taut.h"

namespace taut::optim {
namespace {

using Make = std::unique_ptr<Optimizer> (*)(Tensors params, bool master_weights);

struct OptimizerCase {
  const char* name;
  Make make;
};

// `change` sets what the case is about.
template <class T, class Options, auto change>
std::unique_ptr<Optimizer> make(Tensors params, bool master_weights) {
  Options options;
  change(options);
  options.master_weights = master_weights;
  return std::make_unique<T>(std::move(params), options);
}

const OptimizerCase kCases[] = {
    {"sgd", make<SGD, SGDOptions, [](SGDOptions& o) { o.lr = 1e-3; }>},
    {"nesterov", make<SGD, SGDOptions,
                      [](SGDOptions& o) {
                        o.lr = 1e-3;
                        o.momentum = 0.9;
                        o.nesterov = true;
                      }>},
    {"amsgrad", make<Adam, AdamOptions, [](AdamOptions& o) { o.amsgrad = true; }>},
    {"adamw", make<AdamW, AdamWOptions, [](AdamWOptions& o) { o.lr = 1e-4; }>},
    {"rmsprop", make<RMSprop, RMSpropOptions,
                     [](RMSpropOptions& o) {
                       o.lr = 1e-4;
                       o.momentum = 0.5;
                       o.centered = true;
                     }>},
    {"adagrad", make<Adagrad, AdagradOptions, [](AdagradOptions& o) { o.lr = 1e-3; }>},
};

class MasterWeights : public ::testing::TestWithParam<OptimizerCase> {};

bool is_equal(const Tensor& a, const Tensor& b) { return a.dtype() == b.dtype() && equal(a, b); }

TEST_P(MasterWeights, StepAsFloat32Ones) {
  manual_seed(21);
  for (const DType dtype : {kBFloat16, kFloat16}) {
    const Tensor start = randn({3, 5}).to(dtype);
    const Tensor low = start.clone().requires_grad_();
    // One that does not lie in one piece.
    const Tensor across = start.t().contiguous().t().requires_grad_();
    const Tensor wide = start.to(kFloat32).requires_grad_();
    const auto with_masters = GetParam().make({low, across}, true);
    const auto reference = GetParam().make({wide}, false);
    for (int step = 0; step < 20; ++step) {
      const Tensor grad = randn({3, 5}).to(dtype);
      low.set_grad(grad);
      across.set_grad(grad);
      wide.set_grad(grad.to(kFloat32));
      with_masters->step();
      reference->step();
      EXPECT_TRUE(is_equal(low.detach(), wide.detach().to(dtype)))
          << concat(dtype) << " step " << step;
      EXPECT_TRUE(is_equal(across.detach(), low.detach())) << concat(dtype) << " step " << step;
    }
  }
}

TEST_P(MasterWeights, GoOnFromACheckpoint) {
  manual_seed(22);
  const Tensor first = randn({7}).to(kBFloat16).requires_grad_();
  const auto one = GetParam().make({first}, true);
  const auto step = [](const Tensor& param, Optimizer& optimizer, int64_t seed) {
    manual_seed(static_cast<uint64_t>(seed));
    param.set_grad(randn({7}).to(kBFloat16));
    optimizer.step();
  };
  for (int i = 0; i < 5; ++i) step(first, *one, i);
  const Tensor second = first.detach().clone().requires_grad_();
  const auto other = GetParam().make({second}, true);
  other->load_state_dict(one->state_dict());
  for (int i = 5; i < 15; ++i) {
    step(first, *one, i);
    step(second, *other, i);
    EXPECT_TRUE(is_equal(first.detach(), second.detach())) << "step " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Optim, MasterWeights, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

TEST(MasterWeightsTest, SmallStepsAreNotLost) {
  const auto sum_after = [](bool master_weights) {
    const Tensor x = ones({1}, TensorOptions(kBFloat16)).requires_grad_();
    SGD optimizer({x}, {.lr = 1e-3, .master_weights = master_weights});
    for (int step = 0; step < 100; ++step) {
      x.set_grad(ones({1}, TensorOptions(kBFloat16)));
      optimizer.step();
    }
    return x.item<float>();
  };
  EXPECT_EQ(sum_after(false), 1.0f);  // 1 - 0.001 is 1 in bfloat16
  EXPECT_NEAR(sum_after(true), 0.9f, 4e-3f);
}

TEST(MasterWeightsTest, Float32ParametersHaveNone) {
  const Tensor x = ones({2}).requires_grad_();
  SGD optimizer({x}, {.lr = 0.5, .momentum = 0.9, .master_weights = true});
  x.set_grad(ones({2}));
  optimizer.step();
  for (const auto& [id, state] : optimizer.state_dict().state) {
    EXPECT_FALSE(state.contains("master_param")) << id;
  }
}

}  // namespace
}  // namespace taut::optim
