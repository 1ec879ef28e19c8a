// Functions that become graphs: the bits of plain calls, whatever the inputs, where they come from
// and what the function leaves behind.

#include "taut/autograd/graphed_step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "taut/core/cuda_graph.h"
#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

namespace F = nn::functional;
using cuda::GraphedOptions;
using cuda::GraphedStep;

TensorOptions gpu(DType dtype = kFloat32) { return TensorOptions(dtype).device(kCUDA); }

// A network with dropout and its optimizer; two made after the same seed are alike.
struct Model {
  Tensors params;
  std::unique_ptr<optim::AdamW> optimizer;

  Model() {
    manual_seed(21);
    for (const Dims& shape : {Dims{40, 16}, Dims{40}, Dims{5, 40}, Dims{5}}) {
      params.push_back((randn(shape, gpu()) * 0.3).detach().requires_grad_());
    }
    optimizer = std::make_unique<optim::AdamW>(params, optim::AdamWOptions{.lr = 0.01});
  }
  Tensor loss_of(const Tensor& x, const Tensor& y) const {
    const Tensor hidden = F::dropout(relu(F::linear(x, params[0], params[1])), 0.2);
    return F::mse_loss(F::linear(hidden, params[2], params[3]), y);
  }
  Tensor train(TensorList in) const {
    optimizer->zero_grad();
    const Tensor loss = loss_of(in[0], in[1]);
    loss.backward();
    optimizer->step();
    return loss.detach();
  }
  void expect_same(const Model& other, const std::string& what) const {
    for (size_t i = 0; i < params.size(); ++i) {
      expect_same_bits(params[i].detach(), other.params[i].detach(), concat(what, " ", i));
    }
  }
};

// Batches of some sizes, on the CPU.
std::vector<Tensors> batches(const std::vector<int64_t>& sizes) {
  manual_seed(22);
  std::vector<Tensors> result;
  for (int64_t n : sizes) result.push_back({randn({n, 16}), randn({n, 5})});
  return result;
}

Tensors on_gpu(const Tensors& batch) { return {batch[0].cuda(), batch[1].cuda()}; }

class CudaGraphedStep : public GpuTest {
 protected:
  // Trains on the batches twice, plainly and graphed, given by `place`.
  static void compare(const std::vector<int64_t>& sizes, int64_t graphs, const char* what,
                      const std::function<Tensors(const Tensors&)>& place,
                      const GraphedOptions& options = {}) {
    const std::vector<Tensors> data = batches(sizes);
    const Model plain, graphed;
    std::vector<float> expected, losses;
    manual_seed(23);
    for (const Tensors& batch : data) {
      expected.push_back(plain.train(on_gpu(batch)).item<float>());
    }
    GraphedStep step =
        cuda::make_graphed([&](TensorList in) { return graphed.train(in); }, options);
    manual_seed(23);
    for (const Tensors& batch : data) losses.push_back(step(place(batch))[0].item<float>());
    EXPECT_EQ(losses, expected) << what;
    graphed.expect_same(plain, what);
    EXPECT_EQ(step.graphs(), graphs) << what;
    EXPECT_EQ(step.fallback_reason(), "") << what;
  }
};

TEST_F(CudaGraphedStep, TrainsAsTheFunctionDoes) {
  const std::vector<int64_t> sizes(9, 32);
  compare(sizes, 1, "gpu", on_gpu);
  compare(sizes, 1, "cpu", [](const Tensors& batch) { return batch; });
  compare(sizes, 1, "pinned",
          [](const Tensors& batch) { return Tensors{pin_memory(batch[0]), pin_memory(batch[1])}; });
  compare(sizes, 1, "mixed",
          [](const Tensors& batch) { return Tensors{batch[0].cuda(), batch[1]}; });
  compare(sizes, 1, "at once", on_gpu, {.warmup = 0});
  compare(sizes, 1, "copies", on_gpu, {.clone_outputs = true});
}

TEST_F(CudaGraphedStep, CapturesOtherShapesAnew) {
  std::vector<int64_t> sizes;
  for (int epoch = 0; epoch < 6; ++epoch) sizes.insert(sizes.end(), {32, 32, 32, 20});
  compare(sizes, 2, "odd batches", [](const Tensors& batch) { return batch; });
  // With room for one, the kinds drive each other out.
  compare(sizes, 1, "one kind", on_gpu, {.warmup = 0, .max_graphs = 1});
}

TEST_F(CudaGraphedStep, CopiesTheNextInputsWhileItWorks) {
  const Tensor w = randn({1024, 1024}, gpu()) * 0.03;
  const auto work = [&](const Tensor& x) {
    Tensor y = x;
    for (int i = 0; i < 8; ++i) y = tanh(matmul(y, w));
    return y;
  };
  for (bool is_pinned : {true, false}) {
    std::vector<Tensor> inputs;
    for (int i = 0; i < 20; ++i) {
      const Tensor x = randn({1024, 1024});
      inputs.push_back(is_pinned ? pin_memory(x) : x);
    }
    GraphedStep step = cuda::make_graphed([&](TensorList in) { return work(in[0]); },
                                          GraphedOptions{.warmup = 1, .clone_outputs = true});
    Tensors results;
    for (const Tensor& x : inputs) results.push_back(step({x})[0]);
    for (size_t i = 0; i < inputs.size(); ++i) {
      expect_same_bits(results[i], work(inputs[i].cuda()), concat("input ", i));
    }
  }
}

TEST_F(CudaGraphedStep, WorksOnWhateverStreamIsCurrent) {
  const Tensor w = randn({512, 512}, gpu());
  GraphedStep step = cuda::make_graphed([&](TensorList in) { return matmul(in[0], w); },
                                        GraphedOptions{.warmup = 1, .clone_outputs = true});
  Tensors inputs, results;
  for (int i = 0; i < 8; ++i) inputs.push_back(randn({512, 512}, gpu()));
  cuda::synchronize();
  const cuda::Stream side = cuda::Stream::from_pool();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const cuda::StreamGuard guard(i % 2 == 0 ? side : cuda::Stream());
    results.push_back(step({inputs[i]})[0]);
  }
  cuda::synchronize();
  for (size_t i = 0; i < inputs.size(); ++i) {
    expect_same_bits(results[i], matmul(inputs[i], w), concat("input ", i));
  }
}

TEST_F(CudaGraphedStep, RunsWhatCannotBeCapturedAndSaysSoOnce) {
  const std::vector<Tensors> data = batches({32, 32, 32, 20, 20, 20});
  const Model plain, graphed;
  std::vector<std::string> reasons;
  // The gradients are cleared at the end, which a capture that fails does not come to.
  const auto train = [](const Model& model, TensorList in) {
    const Tensor loss = model.loss_of(in[0], in[1]);
    loss.backward();
    model.optimizer->step();
    const float value = loss.item<float>();
    model.optimizer->zero_grad();
    return full({}, value);
  };
  GraphedStep step = cuda::make_graphed(
      [&](TensorList in) { return train(graphed, in); },
      {.warmup = 1, .on_fallback = [&](const std::string& reason) { reasons.push_back(reason); }});
  manual_seed(24);
  for (const Tensors& batch : data) train(plain, on_gpu(batch));
  manual_seed(24);
  for (const Tensors& batch : data) step(batch);
  graphed.expect_same(plain, "fallback");
  EXPECT_EQ(step.graphs(), 0);
  ASSERT_EQ(reasons.size(), 1u);
  EXPECT_NE(reasons[0].find("copy: cannot be captured"), std::string::npos) << reasons[0];
  EXPECT_EQ(step.fallback_reason(), reasons[0]);
}

TEST_F(CudaGraphedStep, GoesOnAfterAnException) {
  const std::vector<Tensors> data = batches(std::vector<int64_t>(6, 32));
  const Model plain, graphed;
  int failures = 0;
  GraphedStep step = cuda::make_graphed(
      [&](TensorList in) {
        const Tensor loss = graphed.train(in);
        if (cuda::is_current_stream_capturing() && failures++ < 2) throw std::runtime_error("mine");
        return loss;
      },
      GraphedOptions{.warmup = 2});
  manual_seed(25);
  for (const Tensors& batch : data) plain.train(on_gpu(batch));
  manual_seed(25);
  for (const Tensors& batch : data) {
    for (;;) {
      try {
        step(batch);
        break;
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "mine");
      }
    }
  }
  EXPECT_EQ(failures, 3);
  EXPECT_EQ(step.graphs(), 1);
  graphed.expect_same(plain, "exception");
}

// ---- Note [Gradients of graphs] -----------------------------------------------------------------

TEST_F(CudaGraphedStep, LeavesGradientsToAnOptimizerOutside) {
  std::vector<int64_t> sizes;
  for (int i = 0; i < 5; ++i) sizes.insert(sizes.end(), {32, 20, 32});
  const std::vector<Tensors> data = batches(sizes);
  for (bool set_to_none : {true, false}) {
    const Model plain, graphed;
    GraphedStep step = cuda::make_graphed(
        [&](TensorList in) { graphed.loss_of(in[0], in[1]).backward(); }, {.warmup = 1});
    for (const Model* model : {&plain, &graphed}) {
      manual_seed(26);
      for (const Tensors& batch : data) {
        model->optimizer->zero_grad(set_to_none);
        if (model == &graphed) {
          step(batch);
        } else {
          plain.loss_of(batch[0].cuda(), batch[1].cuda()).backward();
        }
        model->optimizer->step();
      }
    }
    graphed.expect_same(plain, set_to_none ? "cleared" : "zeroed");
    EXPECT_EQ(step.graphs(), 2);
  }
}

TEST_F(CudaGraphedStep, AddsToGradientsThatAreThere) {
  const std::vector<Tensors> data = batches(std::vector<int64_t>(12, 32));
  const Model plain, graphed;
  GraphedStep step = cuda::make_graphed(
      [&](TensorList in) { graphed.loss_of(in[0], in[1]).backward(); }, {.warmup = 2});
  for (const Model* model : {&plain, &graphed}) {
    manual_seed(27);
    for (size_t i = 0; i < data.size(); ++i) {
      if (model == &graphed) {
        step(data[i]);
      } else {
        plain.loss_of(data[i][0].cuda(), data[i][1].cuda()).backward();
      }
      if (i % 3 != 2) continue;  // three batches make a step
      model->optimizer->step();
      model->optimizer->zero_grad();
    }
  }
  graphed.expect_same(plain, "accumulated");
}

TEST_F(CudaGraphedStep, GivesUpOnGradientsThatAreOthersAtEachCall) {
  const Tensor w = zeros({4}, gpu()).requires_grad_();
  optim::SGD sgd({w}, {.lr = 1.0});
  GraphedStep step = cuda::make_graphed([&](TensorList) { sgd.step(); }, {.warmup = 1});
  Tensors kept;
  for (int i = 0; i < 8; ++i) {
    kept.push_back(full({4}, i, gpu()));
    w.set_grad(kept.back());
    step({});
  }
  expect_equal(w.detach(), full({4}, -28.0), "sum");
  EXPECT_NE(step.fallback_reason().find("gradients"), std::string::npos);
}

// ---- Modes
// ----------------------------------------------------------------------------------------

TEST_F(CudaGraphedStep, CapturesEachModeForItself) {
  const Tensor w = randn({64, 64}, gpu());
  GraphedStep step = cuda::make_graphed(
      [&](TensorList in) { return Tensors{matmul(in[0], w), full({}, is_grad_enabled())}; },
      GraphedOptions{.device = kCUDA, .warmup = 1});
  const Tensor x = randn({64, 64});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(step({x})[1].item<bool>());
    {
      const NoGradGuard no_grad;
      EXPECT_FALSE(step({x})[1].item<bool>());
    }
    const AutocastMode autocast(DeviceType::cuda, kBFloat16);
    EXPECT_EQ(step({x})[0].dtype(), kBFloat16);
  }
  EXPECT_EQ(step.graphs(), 3);
  const uint64_t kind = step.latest_kind();
  const auto twice = [&](TensorList in) { return Tensors{in[0] * 2}; };
  for (int i = 0; i < 3; ++i) {
    expect_equal(step.call({x}, "twice", twice)[0], x * 2, "another key");
  }
  EXPECT_NE(step.latest_kind(), kind);
  EXPECT_EQ(step.graphs(), 4);
}

// Casts of weights that autocast keeps do not go from a graph to the ops around it, or back.
TEST_F(CudaGraphedStep, KeepsItsCastsOfWeights) {
  const Tensor w = randn({64, 64}, gpu()).requires_grad_();
  const Tensor x = randn({64, 64}, gpu());
  GraphedStep step =
      cuda::make_graphed([&](TensorList in) { return matmul(in[0], w); }, {.warmup = 1});
  const AutocastMode autocast(DeviceType::cuda, kBFloat16);
  for (int i = 0; i < 4; ++i) {
    const Tensor result = step({x})[0].clone();
    expect_same_bits(result, matmul(x, w).detach(), concat("call ", i));
  }
}

TEST_F(CudaGraphedStep, IsPartOfAGraphAroundIt) {
  const Tensor x = randn({64}, gpu());
  GraphedStep step = cuda::make_graphed([](TensorList in) { return in[0] * 2; }, {.warmup = 0});
  Tensor y = exp(step({x})[0]);
  cuda::Graph graph;
  graph.capture([&] { y = exp(step({x})[0]); });
  x.fill_(1.0);
  graph.replay();
  expect_close(y, full({64}, std::exp(2.0), kFloat32), "nested");
}

}  // namespace
}  // namespace taut::testing
