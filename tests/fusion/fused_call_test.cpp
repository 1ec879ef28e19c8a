// Calls of fused functions: kinds, the tape, second derivatives, threads. The kernels are those of
// a GPU, compiled for the host.

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "taut/autograd/backward.h"
#include "taut/autograd/hooks.h"
#include "taut/autograd/record.h"
#include "taut/autograd/saved_tensor.h"
#include "taut/fusion/fuse.h"
#include "taut/ops/ops.h"
#include "tests/fusion/host_backend.h"

namespace taut::fusion {
namespace {

class FusedCall : public ::testing::Test {
 protected:
  void SetUp() override {
    if (EmulatedKernels::compiler() == nullptr) GTEST_SKIP() << "not under a sanitizer";
    manual_seed(3);
  }
  HostBackend backend;
};

void expect_close(const Tensor& got, const Tensor& expected) {
  ASSERT_TRUE(got.defined() && expected.defined());
  ASSERT_EQ(got.shape(), expected.shape());
  EXPECT_TRUE(allclose(got, expected, 1e-5, 1e-6));
}

// By x it reads both inputs, by y only x.
Tensor sine_times(const Tensor& x, const Tensor& y) { return sin(x) * y; }

Tensor leaf(const Dims& shape) { return randn(shape).requires_grad_(); }

int launched_by(const auto& work) {
  const int before = HostBackend::launches();
  work();
  return HostBackend::launches() - before;
}

TEST_F(FusedCall, RunsKernelsInPlaceOfTheFunction) {
  int calls = 0;
  FusedFunction fused = fuse([&calls](const Tensor& x, const Tensor& y) {
    ++calls;
    return sine_times(x, y);
  });
  const Tensor x = leaf({3, 5}), y = leaf({3, 5});
  ASSERT_TRUE(fused.compile(Tensors{x, y})) << fused.kinds().at(0).refusal;
  const int calls_to_compile = calls;
  Tensor result;
  EXPECT_EQ(launched_by([&] { result = fused(Tensors{x, y})[0]; }), 1);
  EXPECT_EQ(calls, calls_to_compile);
  expect_close(result, sine_times(x, y));
  const Tensor weights = randn({3, 5});
  Tensors grads;
  EXPECT_EQ(launched_by(
                [&] { grads = autograd::grad(Tensors{result}, Tensors{x, y}, Tensors{weights}); }),
            1);
  EXPECT_EQ(calls, calls_to_compile);
  const Tensors expected =
      autograd::grad(Tensors{sine_times(x, y)}, Tensors{x, y}, Tensors{weights});
  for (size_t i = 0; i < 2; ++i) expect_close(grads[i], expected[i]);
}

TEST_F(FusedCall, WithoutGradModeNothingIsRecorded) {
  FusedFunction fused = fuse(sine_times);
  const Tensor x = leaf({3, 5}), y = leaf({3, 5});
  ASSERT_TRUE(fused.compile(Tensors{x, y}));
  const NoGradGuard no_grad;
  ASSERT_TRUE(fused.compile(Tensors{x, y}));
  EXPECT_EQ(fused.kinds().size(), 2u);
  Tensor result;
  EXPECT_EQ(launched_by([&] { result = fused(Tensors{x, y})[0]; }), 1);
  EXPECT_FALSE(autograd::requires_grad(result));
  expect_close(result, sine_times(x, y));
}

TEST_F(FusedCall, SecondDerivativesAreTheFunctions) {
  FusedFunction fused = fuse(sine_times);
  const Tensor x = leaf({3, 5}), y = leaf({3, 5});
  ASSERT_TRUE(fused.compile(Tensors{x, y}));
  const auto second = [&](const Tensor& result) {
    const Tensors first = autograd::grad(Tensors{sum(result)}, Tensors{x}, {}, std::nullopt, true);
    return autograd::grad(Tensors{sum(first[0] * first[0])}, Tensors{x, y});
  };
  const Tensors got = second(fused(Tensors{x, y})[0]);
  const Tensors expected = second(sine_times(x, y));
  for (size_t i = 0; i < 2; ++i) expect_close(got[i], expected[i]);
}

// The function outlives what was made of it, in the nodes that need it.
TEST_F(FusedCall, SecondDerivativesNeedNoFusedFunction) {
  const Tensor x = leaf({3, 5}), y = leaf({3, 5});
  Tensor result;
  {
    FusedFunction fused =
        fuse([scale = 2.0](const Tensor& a, const Tensor& b) { return sine_times(a, b) * scale; });
    ASSERT_TRUE(fused.compile(Tensors{x, y}));
    result = fused(Tensors{x, y})[0];
  }
  const Tensors first = autograd::grad(Tensors{sum(result)}, Tensors{x}, {}, std::nullopt, true);
  expect_close(first[0], cos(x) * y * 2);
  expect_close(autograd::grad(Tensors{sum(first[0])}, Tensors{y})[0], cos(x) * 2);
}

TEST_F(FusedCall, AnOverwrittenInputIsAnErrorWhereItIsRead) {
  FusedFunction fused = fuse([](const Tensor& x, const Tensor& y) { return sin(x) + y * 3; });
  const Tensor x = leaf({3, 5}), y = leaf({3, 5});
  ASSERT_TRUE(fused.compile(Tensors{x * 1, y * 1}));
  // The gradients read the first input alone; second derivatives run the function on both.
  const auto write_and_walk = [&](size_t written, bool create_graph) {
    const Tensors inputs = {x * 1, y * 1};
    const Tensor result = sum(fused(inputs)[0]);
    inputs[written].mul_(2);
    return autograd::grad(Tensors{result}, Tensors{x, y}, {}, std::nullopt, create_graph);
  };
  const Tensors grads = write_and_walk(1, false);
  expect_close(grads[0], cos(x));
  expect_close(grads[1], full({3, 5}, 3.0));
  EXPECT_THROW(write_and_walk(0, false), AutogradError);
  EXPECT_THROW(write_and_walk(1, true), AutogradError);
  try {
    write_and_walk(0, false);
  } catch (const AutogradError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("fused needs was overwritten"), std::string::npos) << text;
  }
}

TEST_F(FusedCall, AnOverwrittenOutputIsAnErrorWhereItIsRead) {
  // Its gradient reads the sum of the inputs.
  FusedFunction fused = fuse([](const Tensor& x, const Tensor& y) {
    const Tensor total = x + y;
    return Tensors{total, sin(total)};
  });
  const Tensor x = leaf({3, 5}), y = leaf({3, 5});
  ASSERT_TRUE(fused.compile(Tensors{x, y}));
  const Tensors results = fused(x, y);
  expect_close(autograd::grad(Tensors{sum(results[1])}, Tensors{x}, {}, true)[0], cos(x + y));
  NoGradGuard no_grad;
  results[0].mul_(2);
  EXPECT_THROW(autograd::grad(Tensors{sum(results[1])}, Tensors{x}), AutogradError);
}

TEST_F(FusedCall, AGraphIsWalkedTwiceWhenItIsRetained) {
  FusedFunction fused = fuse(sine_times);
  const Tensor x = leaf({3, 5}), y = leaf({3, 5});
  ASSERT_TRUE(fused.compile(Tensors{x, y}));
  const Tensor result = sum(fused(x, y)[0]);
  for (const bool retain : {true, false}) {
    expect_close(autograd::grad(Tensors{result}, Tensors{x}, {}, retain)[0], cos(x) * y);
  }
  EXPECT_THROW(autograd::grad(Tensors{result}, Tensors{x}), AutogradError);
}

TEST_F(FusedCall, HooksSeeItsTensors) {
  FusedFunction fused = fuse(sine_times);
  const Tensor x = leaf({3, 5}), y = leaf({3, 5});
  ASSERT_TRUE(fused.compile(Tensors{x, y}));
  int packed = 0, unpacked = 0;
  Tensor result;
  {
    const autograd::SavedTensorsHooks hooks([&](const Tensor& tensor) {
      ++packed;
      return [&unpacked, kept = tensor.clone()]() {
        ++unpacked;
        return kept;
      };
    });
    result = fused(x, y)[0];
  }
  EXPECT_EQ(packed, 2);  // each input once
  register_hook(result, [](const Tensor& grad) { return grad * 10; });
  const Tensor weights = randn({3, 5});
  const Tensors grads = autograd::grad(Tensors{result}, Tensors{x, y}, Tensors{weights});
  EXPECT_EQ(unpacked, 2);
  expect_close(grads[0], weights * 10 * cos(x) * y);
  expect_close(grads[1], weights * 10 * sin(x));
}

TEST_F(FusedCall, AnomalyModeNamesIt) {
  FusedFunction fused = fuse([](const Tensor& x) { return sqrt(x); });
  const Tensor x = zeros({4}).requires_grad_();
  ASSERT_TRUE(fused.compile(Tensors{x}));
  const autograd::AnomalyMode anomaly;
  const Tensor result = fused(x)[0] * full({4}, 0.0);
  try {
    autograd::grad(Tensors{sum(result)}, Tensors{x});
    FAIL() << "0 / 0 was not seen";
  } catch (const AutogradError& error) {
    EXPECT_NE(std::string(error.what()).find("fused"), std::string::npos) << error.what();
  }
}

TEST_F(FusedCall, ObserversSeeOneOp) {
  struct Names final : autograd::OpObserver {
    void on_op(const autograd::OpRecord& record) override { names.emplace_back(record.name); }
    std::vector<std::string> names;
  };
  FusedFunction fused = fuse(sine_times);
  const Tensor x = leaf({3, 5}), y = leaf({3, 5});
  ASSERT_TRUE(fused.compile(Tensors{x, y}));
  Names names;
  fused(x, y);
  EXPECT_EQ(names.names, std::vector<std::string>{"fused"});
  const NoGradGuard no_grad;
  fused.compile(Tensors{x, y});
  names.names.clear();
  fused(x, y);
  EXPECT_EQ(names.names, std::vector<std::string>{"fused"});
}

TEST_F(FusedCall, AnInputThatIsReturnedHasTwoHistories) {
  FusedFunction fused = fuse([](const Tensor& x) { return Tensors{x, x * 3}; });
  const Tensor x = leaf({4});
  ASSERT_TRUE(fused.compile(Tensors{x}));
  const Tensors results = fused(x);
  EXPECT_EQ(results[0].data_ptr(), x.data_ptr());
  EXPECT_TRUE(x.is_leaf());
  const Tensor weights = randn({4});
  const Tensors grads = autograd::grad(results, Tensors{x}, Tensors{weights, weights});
  expect_close(grads[0], weights * 4);
}

TEST_F(FusedCall, OutputsWithoutGradientStayOffTheTape) {
  FusedFunction fused =
      fuse([](const Tensor& x) { return Tensors{x.detach() * 2, sin(x), x > 0}; });
  const Tensor x = leaf({4});
  ASSERT_TRUE(fused.compile(Tensors{x})) << fused.kinds().at(0).refusal;
  const Tensors results = fused(x);
  EXPECT_FALSE(autograd::requires_grad(results[0]));
  EXPECT_FALSE(autograd::requires_grad(results[2]));
  expect_close(autograd::grad(Tensors{sum(results[1])}, Tensors{x})[0], cos(x));
}

TEST_F(FusedCall, GradientsInOtherStridesAreRead) {
  FusedFunction fused = fuse(sine_times);
  const Tensor x = leaf({4, 4}), y = leaf({4, 4});
  ASSERT_TRUE(fused.compile(Tensors{x, y}));
  const Tensor weights = randn({4, 4});
  const Tensors grads = autograd::grad(Tensors{fused(x, y)[0].t()}, Tensors{x}, Tensors{weights});
  expect_close(grads[0], weights.t() * cos(x) * y);
}

// ---- kinds ------------------------------------------------------------------------------------

TEST_F(FusedCall, KindsAreToldApart) {
  FusedFunction fused = fuse([](const Tensor& x) { return exp(x) + x; });
  const Tensor x = randn({32, 32});
  const Tensor odd = randn({1025}).slice(0, 1, 1025).view({32, 32});
  const Tensors all = {
      x, x.t(), odd, to(x, kFloat64), x.view({1024}), randn({32, 32}).requires_grad_()};
  for (const Tensor& given : all) ASSERT_TRUE(fused.compile(Tensors{given}));
  EXPECT_EQ(fused.kinds().size(), all.size());
  for (const Tensor& given : all) {
    EXPECT_EQ(launched_by([&] { expect_close(fused(given)[0], exp(given) + given); }), 1);
  }
  EXPECT_EQ(fused.kinds().size(), all.size());
}

// More numbers than a key holds without the heap.
TEST_F(FusedCall, ManyInputsMakeAKind) {
  FusedFunction fused = fuse([](TensorList inputs) {
    Tensor total = inputs[0];
    for (const Tensor& input : inputs.subspan(1)) total = total + input;
    return total;
  });
  Tensors inputs;
  for (int i = 0; i < 20; ++i) inputs.push_back(randn({1, 2, 1, 2, 1, 2}));
  ASSERT_TRUE(fused.compile(inputs)) << fused.kinds().at(0).refusal;
  Tensors others = inputs;
  others.back() = randn({1, 2, 1, 2, 1, 1});
  ASSERT_TRUE(fused.compile(others));
  EXPECT_EQ(fused.kinds().size(), 2u);
  for (const Tensors& given : {inputs, others}) {
    Tensor expected = given[0];
    for (size_t i = 1; i < given.size(); ++i) expected = expected + given[i];
    EXPECT_EQ(launched_by([&] { expect_close(fused(given)[0], expected); }), 1);
  }
}

TEST_F(FusedCall, ATensorMayBeGivenTwice) {
  const Tensor x = leaf({64}), y = leaf({64});
  FusedFunction fused = fuse(sine_times);
  ASSERT_TRUE(fused.compile(Tensors{x, x}));
  for (const Tensors& given : {Tensors{x, x}, Tensors{x, y}, Tensors{y, y}}) {
    EXPECT_EQ(launched_by([&] { expect_close(fused(given)[0], sin(given[0]) * given[1]); }), 1);
    const Tensors got = autograd::grad(Tensors{sum(fused(given)[0])}, Tensors{given[0]});
    const Tensors expected =
        autograd::grad(Tensors{sum(sine_times(given[0], given[1]))}, Tensors{given[0]});
    expect_close(got[0], expected[0]);
  }
  EXPECT_EQ(fused.kinds().size(), 1u);
}

// The next call may be given another tensor, while the one that the function refers to stays.
TEST_F(FusedCall, ATensorThatIsReferredToIsNoArgument) {
  for (const bool wanted : {false, true}) {
    const Tensor w = randn({8}).requires_grad_(wanted);
    FusedFunction fused = fuse([w](const Tensor& x) { return x * w; });
    EXPECT_FALSE(fused.compile(Tensors{w}));
    EXPECT_NE(fused.kinds().at(0).refusal.find("no argument of it"), std::string::npos)
        << fused.kinds().at(0).refusal;
    const Tensor x = randn({8}).requires_grad_(wanted);
    expect_close(fused(x)[0], x * w);
  }
}

TEST_F(FusedCall, AWriteToAnArgumentIsMadeOnce) {
  FusedFunction fused = fuse([](const Tensor& x) { return x.add_(1) * 2; });
  const Tensor x = zeros({8});
  EXPECT_FALSE(fused.compile(Tensors{x}));
  expect_close(x, ones({8}));
  fused(x);
  expect_close(x, full({8}, 2.0));
}

TEST_F(FusedCall, ParametersMayBeReferredToAndGiven) {
  const Tensor w = leaf({8});
  const FusedFunction::Function function = [w](TensorList in) -> Tensors {
    return {sin(in[0]) * w};
  };
  FusedFunction fused(nullptr);
  const auto call = [&](const Tensor& x) {
    const Tensors inputs = {x, w};
    return fused.call({.inputs = inputs, .function = function, .referred = 1})[0];
  };
  const Tensors first = {w, w};
  ASSERT_TRUE(fused.compile({.inputs = first, .function = function, .referred = 1}))
      << fused.kinds().at(0).refusal;
  const Tensor x = leaf({8});
  for (const Tensor& given : {w, x}) {
    EXPECT_EQ(launched_by([&] { expect_close(call(given), sin(given) * w); }), 1);
    const Tensors grads = autograd::grad(Tensors{sum(call(given))}, Tensors{w});
    expect_close(grads[0], autograd::grad(Tensors{sum(sin(given) * w)}, Tensors{w})[0]);
  }
  EXPECT_EQ(fused.kinds().size(), 1u);
}

TEST_F(FusedCall, ParametersThatShowTheSameElementsAreRefused) {
  const Tensor w = randn({8});
  const Tensor tied = w.detach();
  const FusedFunction::Function function = [=](TensorList in) -> Tensors {
    return {in[0] * w + tied};
  };
  FusedFunction fused(nullptr);
  const Tensors inputs = {randn({8}), w, tied};
  EXPECT_FALSE(fused.compile({.inputs = inputs, .function = function, .referred = 2}));
  EXPECT_NE(fused.kinds().at(0).refusal.find("the same elements"), std::string::npos);
}

TEST_F(FusedCall, OtherKeysAreOtherKinds) {
  FusedFunction fused(nullptr);
  const Tensors inputs = {randn({8})};
  uint64_t numbers[2] = {};
  for (int i = 0; i < 2; ++i) {
    const FusedFunction::Function function = [i](TensorList in) -> Tensors {
      return {in[0] * (2 + i)};
    };
    const FusedFunction::Call call = {
        .inputs = inputs, .function = function, .key = i == 0 ? "first" : "second"};
    ASSERT_TRUE(fused.compile(call));
    expect_close(fused.call(call, &numbers[i])[0], inputs[0] * (2 + i));
  }
  EXPECT_EQ(numbers[0], 1u);
  EXPECT_EQ(numbers[1], 2u);
}

TEST_F(FusedCall, KindsBeyondTheMostRunAsTheyAre) {
  FusedFunction fused = fuse([](const Tensor& x) { return exp(x) + x; }, {.max_kinds = 1});
  ASSERT_TRUE(fused.compile(Tensors{randn({8})}));
  const Tensor x = randn({9});
  EXPECT_FALSE(fused.compile(Tensors{x}));
  EXPECT_EQ(launched_by([&] { expect_close(fused(x)[0], exp(x) + x); }), 0);
  EXPECT_EQ(fused.kinds().size(), 1u);
}

TEST_F(FusedCall, ErrorsOfTheFunctionAreItsOwn) {
  FusedFunction fused = fuse([](const Tensor& x, const Tensor& y) { return x + y; });
  EXPECT_THROW(fused(randn({3}), randn({4})), ShapeError);
  EXPECT_TRUE(fused.kinds().empty());
}

// ---- threads ----------------------------------------------------------------------------------

// New kinds are added while others are looked for.
TEST_F(FusedCall, ThreadsCallAtOnce) {
  FusedFunction fused = fuse([](const Tensor& x) { return exp(x) + x; }, {.wait = true});
  constexpr int kThreads = 4, kKinds = 3, kTurns = 40;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTurns; ++i) {
        const Tensor x = full({16 * (1 + (t + i) % kKinds)}, 0.25 * i - t).requires_grad_();
        const Tensor y = fused(x)[0];
        const Tensor gradient = autograd::grad(Tensors{sum(y)}, Tensors{x})[0];
        if (!allclose(y, exp(x) + x) || !allclose(gradient, exp(x) + 1)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(fused.kinds().size(), size_t{kKinds});
}

}  // namespace
}  // namespace taut::fusion
