// The gradient of cross entropy takes the memory of the logits only where nobody sees them again.

#include <gtest/gtest.h>

#include "taut/taut.h"

namespace taut {
namespace {

namespace F = nn::functional;

class CrossEntropyMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    manual_seed(31);
    start_ = randn({6, 5});
    targets_ = tensor({0, 4, 2, 2, 1, 3}, TensorOptions(kInt64));
    const Tensor x = start_.clone().requires_grad_();
    const Tensor held = x * 2;
    F::cross_entropy(held, targets_).backward({}, /*retain_graph=*/true);
    expected_ = x.grad();
  }

  Tensor leaf() const { return start_.clone().requires_grad_(); }

  Tensor start_, targets_, expected_;
};

TEST_F(CrossEntropyMemory, IsTheLogitsWhereTheyAreGone) {
  const Tensor x = leaf();
  F::cross_entropy(x * 2, targets_).backward();
  EXPECT_TRUE(equal(x.grad(), expected_));
  const Tensor y = leaf();  // through a view, as of (batch, length, classes)
  F::cross_entropy((y * 2).view({2, 3, 5}).flatten(0, 1), targets_).backward();
  EXPECT_TRUE(equal(y.grad(), expected_));
}

TEST_F(CrossEntropyMemory, LeavesLogitsThatAreHeldAlone) {
  const Tensor x = leaf();
  const Tensor logits = x * 2;
  F::cross_entropy(logits, targets_).backward();
  EXPECT_TRUE(equal(logits.detach(), start_ * 2));
  EXPECT_TRUE(equal(x.grad(), expected_));

  const Tensor y = leaf();
  const Tensor base = (y * 2).view({2, 3, 5});
  F::cross_entropy(base.flatten(0, 1), targets_).backward();
  EXPECT_TRUE(equal(base.detach().flatten(0, 1), start_ * 2));
  EXPECT_TRUE(equal(y.grad(), expected_));
}

TEST_F(CrossEntropyMemory, LeavesLogitsThatOthersSavedAlone) {
  const auto gradient = [&](bool holds) {
    const Tensor x = leaf();
    Tensor logits = x * 2;
    Tensor loss = F::cross_entropy(logits, targets_) + logits.square().sum();
    loss = loss + F::cross_entropy(logits, targets_);
    const Tensor kept = holds ? logits : Tensor();
    logits = Tensor();
    loss.backward();
    return x.grad();
  };
  EXPECT_TRUE(allclose(gradient(false), gradient(true), 1e-6, 1e-6));
  const auto through_output = [&](bool holds) {
    const Tensor x = leaf();
    Tensor logits = exp(x);  // which saves its result
    const Tensor loss = F::cross_entropy(logits, targets_);
    const Tensor kept = holds ? logits : Tensor();
    logits = Tensor();
    loss.backward();
    return x.grad();
  };
  EXPECT_TRUE(equal(through_output(false), through_output(true)));
}

TEST_F(CrossEntropyMemory, LastsForASecondWalk) {
  const Tensor x = leaf();
  const Tensor loss = F::cross_entropy(x * 2, targets_);
  loss.backward({}, /*retain_graph=*/true);
  loss.backward();
  EXPECT_TRUE(equal(x.grad(), expected_ * 2));
}

}  // namespace
}  // namespace taut
