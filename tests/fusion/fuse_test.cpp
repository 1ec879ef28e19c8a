// taut::fuse on the CPU, where functions run as they are, and what tracers refuse.

#include "taut/fusion/fuse.h"

#include <gtest/gtest.h>

#include "src/fusion/trace.h"
#include "taut/autograd/backward.h"
#include "taut/ops/ops.h"

namespace taut::fusion {
namespace {

TEST(Fuse, RunsAsItIsOnTheCpu) {
  int calls = 0;
  FusedFunction fused = fuse([&calls](const Tensor& x, const Tensor& y) {
    ++calls;
    return x * y;
  });
  const Tensor x = randn({3}).requires_grad_();
  const Tensor result = fused(x, ones({3}))[0];
  EXPECT_EQ(calls, 1);
  autograd::backward(Tensors{sum(result)});
  EXPECT_TRUE(equal(x.grad(), ones({3})));
  EXPECT_FALSE(fused.compile(Tensors{x, ones({3})}));
  EXPECT_TRUE(fused.kinds().empty());
}

TEST(Fuse, RefusesBadOptions) {
  const auto make = [] { fuse([](const Tensor& x) { return x; }, {.max_kinds = 0}); };
  EXPECT_THROW(make(), ValueError);
}

std::string refusal_of(const Function& function, Tensors inputs) {
  Tensors results;
  return trace_call(function, inputs, results).refusal;
}

TEST(Fuse, TellsWhatCannotBeFused) {
  const Tensor x = randn({4, 4});
  const Tensor foreign = randn({4, 4});
  const auto expect_refusal = [&](const char* word, const Function& function) {
    const std::string refusal = refusal_of(function, {x});
    EXPECT_NE(refusal.find(word), std::string::npos) << word << ": " << refusal;
  };
  expect_refusal("matmul", [](TensorList in) -> Tensors { return {matmul(in[0], in[0])}; });
  expect_refusal("no argument", [&](TensorList in) -> Tensors { return {in[0] + foreign}; });
  expect_refusal("did not make", [](TensorList in) -> Tensors { return {in[0].add_(1)}; });
  expect_refusal("item", [](TensorList in) -> Tensors {
    return {in[0] * (sum(in[0]).item().to_double() > 0 ? 2 : 3)};
  });
  expect_refusal("cumsum", [](TensorList in) -> Tensors { return {cumsum(in[0], 0)}; });
  EXPECT_NE(refusal_of([](TensorList in) -> Tensors { return {in[0] * rand({4, 4})}; }, {x}), "");
  expect_refusal("no tensor", [](TensorList) { return Tensors{}; });
}

TEST(Fuse, FollowsDetachedTensorsAndConstants) {
  const Function function = [](TensorList in) -> Tensors {
    return {in[0].detach() + full_like(in[0], 2) * zeros({4})};
  };
  EXPECT_EQ(refusal_of(function, {randn({4, 4})}), "");
}

}  // namespace
}  // namespace taut::fusion
