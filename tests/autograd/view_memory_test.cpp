// What keeps the memory of views alive: of small tensors, which views share a block with, and of
// large ones.

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taut/taut.h"

namespace taut {
namespace {

// Rows of four elements: a small tensor, and one in a storage of its own.
class ViewMemory : public testing::TestWithParam<int64_t> {
 protected:
  void TearDown() override { EXPECT_EQ(live_storages(), before_); }

  Tensor numbers(double first = 0) const { return arange(0.0, 4.0 * GetParam(), 1.0) + first; }
  static double first_of(const Tensor& tensor) { return tensor.view({-1})[0].item<double>(); }
  static double sum_of(const Tensor& tensor) { return tensor.sum().item<double>(); }
  double sum_of_numbers() const {
    const double count = 4.0 * static_cast<double>(GetParam());
    return count * (count - 1) / 2;
  }

 private:
  const int64_t before_ = live_storages();
};
INSTANTIATE_TEST_SUITE_P(Sizes, ViewMemory, testing::Values(2, 4096),
                         [](const auto& test) { return std::to_string(test.param) + "_rows"; });

TEST_P(ViewMemory, StaysWhenOnlyViewsAreLeft) {
  Tensor base = numbers();
  const Tensor rows = base.view({-1, 4});
  const Tensor columns = rows.t();
  base = Tensor();
  const Tensor other = numbers(7);  // what would take the memory if it were free
  EXPECT_EQ(sum_of(rows), sum_of_numbers());
  EXPECT_TRUE(columns.storage() == rows.storage());
  columns.mul_(2.0);
  EXPECT_EQ(sum_of(rows), 2 * sum_of_numbers());
}

TEST_P(ViewMemory, StaysForAViewWhenItsBaseShowsOtherMemory) {
  Tensor base = numbers();
  const Tensor old = base.view({-1, 4});
  autograd::set_data(base, numbers(100));
  const Tensor of_old = old.view({-1}), young = base.view({-1, 4});
  EXPECT_EQ(first_of(old), 0);
  EXPECT_EQ(first_of(young), 100);
  autograd::set_data(base, numbers(200));
  EXPECT_EQ(first_of(young), 100);
  base = Tensor();
  const Tensor other = numbers(7);
  EXPECT_EQ(sum_of(of_old), sum_of_numbers());
  EXPECT_EQ(first_of(young), 100);
}

TEST_P(ViewMemory, IsLetGoByAViewThatShowsOtherMemory) {
  Tensor base = numbers();
  const Tensor view = base.view({-1, 4});
  {
    const Tensor others = numbers(100);
    autograd::set_data(view, others.view({-1, 4}));
  }
  EXPECT_FALSE(view.is_view());
  EXPECT_EQ(first_of(view), 100);
  EXPECT_EQ(first_of(base), 0);
  base = Tensor();
  EXPECT_EQ(first_of(view), 100);
}

TEST_P(ViewMemory, StaysForWhatIsAViewNoLonger) {
  Tensor a = ones({GetParam(), 1, 2}), b = ones({2, 2});
  const Tensor product = matmul(a, b);
  a = b = Tensor();
  EXPECT_FALSE(product.is_view());
  const Tensor detached = product.view({-1}).detach();
  EXPECT_EQ(sum_of(product), 4.0 * static_cast<double>(GetParam()));
  EXPECT_EQ(sum_of(detached), 4.0 * static_cast<double>(GetParam()));
}

TEST_P(ViewMemory, IsTakenForAGradientOnlyWhereNobodyShowsIt) {
  // cross_entropy writes its gradient over the logits that it saved.
  const Tensor leaf = numbers().view({-1, 4}).clone().requires_grad_();
  const Tensor targets = zeros({GetParam()}, kInt64);
  const auto gradient = [&](const auto& keep) {
    leaf.set_grad(Tensor());
    Tensor loss;
    Tensor kept;
    {
      const Tensor product = leaf * 1.0;
      const Tensor logits = product.view({-1}).view({-1, 4});
      kept = keep(product, logits);
      loss = nn::functional::cross_entropy(logits, targets);
    }
    loss.backward();
    if (kept.defined()) {
      EXPECT_EQ(sum_of(kept), sum_of_numbers());
    }
    return leaf.grad();
  };
  const Tensor alone = gradient([](const Tensor&, const Tensor&) { return Tensor(); });
  EXPECT_TRUE(equal(alone, gradient([](const Tensor& base, const Tensor&) { return base; })));
  EXPECT_TRUE(equal(alone, gradient([](const Tensor&, const Tensor& view) { return view; })));
  EXPECT_TRUE(
      equal(alone, gradient([](const Tensor& base, const Tensor&) { return base.view({-1}); })));
  EXPECT_TRUE(
      equal(alone, gradient([](const Tensor&, const Tensor& view) { return view.detach(); })));
}

TEST_P(ViewMemory, GradientsOfPiecesAreTheirs) {
  const Tensor leaf = numbers().view({-1, 4}).clone().requires_grad_();
  const Tensors pieces = leaf.chunk(2, 1);
  ((pieces[0] * 2.0).sum() + (pieces[1] * pieces[1]).sum()).backward();
  const Tensor expected =
      cat({full({GetParam(), 2}, 2.0), numbers().view({-1, 4}).narrow(1, 2, 2) * 2.0}, 1);
  EXPECT_TRUE(equal(leaf.grad(), expected));
}

TEST_P(ViewMemory, GradientsOfPiecesAreNotOfABaseThatShowsOtherMemory) {
  // Hooks give pieces of a tensor which shows zeros since, and which nobody else has.
  const Tensor leaf = numbers().view({-1, 4}).clone().requires_grad_();
  const Tensors pieces = leaf.chunk(2, 1);
  std::vector<Tensor> given;
  {
    const Tensor base = ones({GetParam(), 4});
    given = base.chunk(2, 1);
    autograd::set_data(base, zeros({GetParam(), 4}));
  }
  for (size_t i = 0; i < 2; ++i) {
    register_hook(pieces[i], [&given, i](const Tensor&) { return std::move(given[i]); });
  }
  (pieces[0].sum() + pieces[1].sum()).backward();
  EXPECT_TRUE(equal(leaf.grad(), ones({GetParam(), 4})));
}

TEST_P(ViewMemory, GoesInWhicheverThreadHasTheLastView) {
  for (int round = 0; round < 100; ++round) {
    Tensor base = numbers();
    Tensor view = base.view({-1, 4});
    std::thread other([mine = std::move(view)]() mutable {
      const Tensor again = mine.t();
      mine = Tensor();
      EXPECT_EQ(again.size(0), 4);
    });
    base = Tensor();
    other.join();
  }
}

}  // namespace
}  // namespace taut
