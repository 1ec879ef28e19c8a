// Fused functions on a GPU: results and gradients against the function itself, and what is around
// the kernels. Skipped where there is no GPU.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "taut/autograd/backward.h"
#include "taut/autograd/record.h"
#include "taut/core/cuda.h"
#include "taut/core/cuda_graph.h"
#include "taut/fusion/fuse.h"
#include "taut/nn/functional/softmax.h"
#include "taut/ops/ops.h"
#include "tests/fusion/chains.h"

namespace taut::fusion {
namespace {

class FusedOnGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
  }
};

const Device kGpu(DeviceType::cuda, 0);

Tensors on_gpu(const Tensors& tensors, const std::vector<bool>& wanted) {
  Tensors result;
  for (size_t i = 0; i < tensors.size(); ++i) {
    result.push_back(tensors[i].to(kGpu).detach());
    if (wanted[i]) result.back().requires_grad_();
  }
  return result;
}

void expect_close(const Tensor& got, const Tensor& expected, double tolerance,
                  const std::string& what) {
  ASSERT_EQ(got.defined(), expected.defined()) << what;
  if (!got.defined()) return;
  ASSERT_EQ(got.shape(), expected.shape()) << what;
  ASSERT_EQ(got.dtype(), expected.dtype()) << what;
  const Tensor a = to(got.to(kCPU), kFloat64);
  const Tensor b = to(expected.to(kCPU), kFloat64);
  const double size = std::max(1.0, amax(abs(b), {}).item().to_double());
  const double worst = amax(abs(a - b), {}).item().to_double();
  EXPECT_FALSE(std::isnan(worst)) << what;
  EXPECT_LE(worst, tolerance * size) << what;
}

double tolerance_of(DType dtype) {
  return dtype == kFloat32 ? 2e-5 : dtype == kBFloat16 ? 4e-2 : 5e-3;
}

struct Run {
  Tensors outputs, gradients;
};

// The function, or the fused one, and the gradients of its outputs weighted by `weights`.
template <class Callable>
Run run(const Callable& function, const Tensors& inputs, const std::vector<bool>& wanted,
        const Tensors& weights) {
  Run result;
  result.outputs = function(inputs);
  Tensors roots, grads, by;
  for (size_t i = 0; i < result.outputs.size(); ++i) {
    if (!autograd::requires_grad(result.outputs[i])) continue;
    roots.push_back(result.outputs[i]);
    grads.push_back(weights[i]);
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (wanted[i]) by.push_back(inputs[i]);
  }
  result.gradients = autograd::grad(roots, by, grads, std::nullopt, false, true);
  return result;
}

void expect_fused_is_function(const Chain& chain, double tolerance) {
  const Tensors inputs = on_gpu(chain.inputs, chain.wanted);
  FusedFunction fused(chain.function);
  ASSERT_TRUE(fused.compile(inputs)) << chain.name << ": " << fused.kinds().at(0).refusal;
  Tensors weights;
  for (const Tensor& output : chain.function(inputs)) {
    weights.push_back(to(randn(output.shape()), output.dtype()).to(kGpu));
  }
  const Run expected = run(chain.function, inputs, chain.wanted, weights);
  const auto call = [&fused](TensorList given) { return fused(given); };
  const Run got = run(call, inputs, chain.wanted, weights);
  EXPECT_TRUE(fused.kinds().at(0).is_ready);
  for (size_t i = 0; i < expected.outputs.size(); ++i) {
    expect_close(got.outputs[i], expected.outputs[i], tolerance,
                 concat(chain.name, ", output ", i));
  }
  for (size_t i = 0; i < expected.gradients.size(); ++i) {
    expect_close(got.gradients[i], expected.gradients[i], tolerance,
                 concat(chain.name, ", gradient ", i, "\n", fused.kinds().at(0).source));
  }
  const NoGradGuard no_grad;
  ASSERT_TRUE(fused.compile(inputs)) << chain.name;
  const Tensors without = fused(inputs);
  for (size_t i = 0; i < without.size(); ++i) {
    expect_close(without[i], expected.outputs[i], tolerance, concat(chain.name, ", no grad ", i));
  }
}

TEST_F(FusedOnGpu, PublishedChains) {
  manual_seed(7);
  for (const DType dtype : {kFloat32, kBFloat16, kFloat16}) {
    for (const Chain& chain : published_chains(dtype)) {
      expect_fused_is_function(chain, tolerance_of(dtype));
    }
  }
}

TEST_F(FusedOnGpu, ViewsJoinsAndReductions) {
  manual_seed(8);
  for (const Chain& chain : single_chains(kFloat32)) {
    expect_fused_is_function(chain, tolerance_of(kFloat32));
  }
}

TEST_F(FusedOnGpu, RandomChains) {
  // Few under compute-sanitizer: each chain compiles for a second.
  const uint64_t count = std::getenv("TAUT_TEST_UNDER_TOOL") != nullptr ? 6 : 40;
  for (uint64_t seed = 1; seed <= count; ++seed) {
    expect_fused_is_function(random_chain(seed), 1e-4);
  }
}

// Many blocks and rows, long ones among them, and columns that end within a pack.
TEST_F(FusedOnGpu, LargeShapes) {
  manual_seed(9);
  struct Case {
    const char* name;
    Dims shape;
  };
  const Function norm = [](TensorList in) -> Tensors {
    const Tensor centred = in[0] - mean(in[0], {-1}, true);
    return {centred * rsqrt(mean(centred * centred, {-1}, true) + 1e-5) * in[1]};
  };
  for (const Dims& shape :
       {Dims{5000, 512}, Dims{301, 4096}, Dims{77, 1000}, Dims{4099, 33}, Dims{3, 8192}}) {
    const Chain chain{
        concat("norm of ", shape), norm, {randn(shape), randn({shape[1]})}, {true, true}};
    expect_fused_is_function(chain, 1e-4);
  }
  const Function softmax_of = [](TensorList in) -> Tensors { return {softmax(in[0] * 0.5, -1)}; };
  expect_fused_is_function({"softmax of long rows", softmax_of, {randn({7, 50000})}, {true}}, 1e-4);
  const Function loss = [](TensorList in) -> Tensors { return {mean(square(in[0] - in[1]))}; };
  expect_fused_is_function(
      {"mean of much", loss, {randn({3000, 1001}), randn({3000, 1001})}, {true, true}}, 1e-4);
}

TEST_F(FusedOnGpu, SecondDerivativesAreTheFunctions) {
  const Function function = [](TensorList in) -> Tensors { return {sin(in[0]) * in[1]}; };
  FusedFunction fused(function);
  const Tensor x = randn({40}).to(kGpu).requires_grad_();
  const Tensor y = randn({40}).to(kGpu).requires_grad_();
  ASSERT_TRUE(fused.compile(Tensors{x, y}));
  const auto second = [&](const Tensor& result) {
    const Tensors first = autograd::grad(Tensors{sum(result)}, Tensors{x}, {}, std::nullopt, true);
    return autograd::grad(Tensors{sum(first[0] * first[0])}, Tensors{x, y});
  };
  const Tensors got = second(fused(Tensors{x, y})[0]);
  const Tensors expected = second(function(Tensors{x, y})[0]);
  for (size_t i = 0; i < 2; ++i) expect_close(got[i], expected[i], 1e-5, concat("input ", i));
}

TEST_F(FusedOnGpu, KernelsComeInTheBackground) {
  FusedFunction fused = fuse([](const Tensor& x) { return tanh(x * 1.25 + 0.125) * x; });
  const Tensor x = randn({64, 64}).to(kGpu);
  const Tensor expected = tanh(x * 1.25 + 0.125) * x;
  bool is_ready = false;
  for (int i = 0; i < 600 && !is_ready; ++i) {
    expect_close(fused(Tensors{x})[0], expected, 1e-6, "while it is compiled");
    is_ready = fused.kinds().at(0).is_ready;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(is_ready) << fused.kinds().at(0).refusal;
  expect_close(fused(Tensors{x})[0], expected, 1e-6, "after it was compiled");
}

TEST_F(FusedOnGpu, WhatCannotBeFusedRunsAsItIs) {
  std::string told;
  FuseOptions options;
  options.on_fallback = [&told](const std::string& reason) { told = reason; };
  FusedFunction fused = fuse([](const Tensor& x) { return matmul(x, x) + 1; }, options);
  const Tensor x = randn({8, 8}).to(kGpu);
  EXPECT_FALSE(fused.compile(Tensors{x}));
  EXPECT_NE(told.find("matmul"), std::string::npos) << told;
  expect_close(fused(Tensors{x})[0], matmul(x, x) + 1, 1e-5, "matmul");
  EXPECT_NE(fused.kinds().at(0).refusal.find("matmul"), std::string::npos);
}

TEST_F(FusedOnGpu, ErrorsOfTheFunctionAreItsOwn) {
  FusedFunction fused = fuse([](const Tensor& x, const Tensor& y) { return x + y; });
  const Tensor x = randn({3}).to(kGpu);
  const Tensor y = randn({4}).to(kGpu);
  EXPECT_THROW(fused(Tensors{x, y}), ShapeError);
  EXPECT_TRUE(fused.kinds().empty());
}

TEST_F(FusedOnGpu, KindsAreToldApart) {
  FusedFunction fused = fuse([](const Tensor& x) { return exp(x) + x; });
  const Tensor x = randn({32, 32}).to(kGpu);
  const Tensor odd = randn({1025}).to(kGpu).slice(0, 1, 1025).view({32, 32});
  for (const Tensor& given : {x, x.t(), odd, to(x, kBFloat16), x.view({1024})}) {
    ASSERT_TRUE(fused.compile(Tensors{given}));
    expect_close(fused(Tensors{given})[0], exp(given) + given, tolerance_of(given.dtype()),
                 concat(given.shape(), given.strides()));
  }
  EXPECT_EQ(fused.kinds().size(), 5u);
}

TEST_F(FusedOnGpu, ATensorMayBeGivenTwice) {
  FusedFunction fused = fuse([](const Tensor& x, const Tensor& y) { return exp(x) - y; });
  const Tensor x = randn({64}).to(kGpu);
  const Tensor y = randn({64}).to(kGpu);
  for (const Tensors& given : {Tensors{x, x}, Tensors{x, y}, Tensors{y, y}}) {
    ASSERT_TRUE(fused.compile(given));
    expect_close(fused(given)[0], exp(given[0]) - given[1], 1e-6, "given twice");
  }
  EXPECT_EQ(fused.kinds().size(), 1u);
}

TEST_F(FusedOnGpu, ATensorThatIsReferredToIsNoArgument) {
  const Tensor w = randn({64}).to(kGpu);
  FusedFunction fused = fuse([w](const Tensor& x) { return x * w; });
  EXPECT_FALSE(fused.compile(Tensors{w}));
  const Tensor x = randn({64}).to(kGpu);
  expect_close(fused(Tensors{x})[0], x * w, 0, "referred to");
}

TEST_F(FusedOnGpu, AnOverwrittenInputIsAnError) {
  FusedFunction fused = fuse([](const Tensor& x) { return sin(x) * 2; });
  const Tensor x = randn({64}).to(kGpu).requires_grad_();
  const Tensor moved = x * 1;
  ASSERT_TRUE(fused.compile(Tensors{moved}));
  const Tensor result = sum(fused(Tensors{moved})[0]);
  moved.mul_(2);
  EXPECT_THROW(autograd::grad(Tensors{result}, Tensors{x}), AutogradError);
}

TEST_F(FusedOnGpu, FusedFunctionsAreCaptured) {
  FusedFunction fused = fuse([](const Tensor& x, const Tensor& w) {
    return x * rsqrt(mean(x * x, {-1}, true) + 1e-6) * w;
  });
  const Tensor x = randn({64, 128}).to(kGpu).requires_grad_();
  const Tensor w = randn({128}).to(kGpu).requires_grad_();
  ASSERT_TRUE(fused.compile(Tensors{x, w}));
  Tensors grads;
  const auto step = [&] {
    grads = autograd::grad(Tensors{sum(fused(Tensors{x, w})[0])}, Tensors{x, w});
  };
  step();
  const Tensors expected = grads;
  cuda::Graph graph;
  graph.capture(step);
  graph.replay();
  cuda::synchronize(kGpu);
  for (size_t i = 0; i < 2; ++i) expect_close(grads[i], expected[i], 0, concat("input ", i));
}

TEST_F(FusedOnGpu, UnreadyKindsAreCapturedAsTheyAre) {
  FusedFunction fused = fuse([](const Tensor& x) { return cos(x) * 3; });
  const Tensor x = randn({16}).to(kGpu);
  Tensor result;
  cuda::Graph graph;
  graph.capture([&] { result = fused(Tensors{x})[0]; });
  graph.replay();
  cuda::synchronize(kGpu);
  EXPECT_TRUE(fused.kinds().empty());
  expect_close(result, cos(x) * 3, 1e-6, "captured");
}

// The same bits in every run: sums are made of parts in a fixed order.
TEST_F(FusedOnGpu, SumsRepeatTheirBits) {
  FusedFunction fused = fuse([](const Tensor& x) { return sum(tanh(x)); });
  const Tensor x = randn({1000, 1003}).to(kGpu);
  ASSERT_TRUE(fused.compile(Tensors{x}));
  const float first = fused(Tensors{x})[0].item().to<float>();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(fused(Tensors{x})[0].item().to<float>(), first);
}

}  // namespace
}  // namespace taut::fusion
