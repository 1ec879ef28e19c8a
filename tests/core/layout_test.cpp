// Layouts against the plainest model of them: the list of storage offsets in row-major order.

#include "taut/core/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <set>
#include <vector>

namespace taut {
namespace {

std::vector<int64_t> offsets(const Layout& layout) {
  std::vector<int64_t> result;
  for (int64_t position = 0; position < layout.numel(); ++position) {
    int64_t rest = position;
    int64_t offset = layout.offset;
    for (int i = layout.rank() - 1; i >= 0; --i) {
      offset += rest % layout.shape[i] * layout.strides[i];
      rest /= layout.shape[i];
    }
    result.push_back(offset);
  }
  return result;
}

class RandomViews : public ::testing::Test {
 protected:
  RandomViews() { RecordProperty("seed", kSeed); }
  static constexpr int kSeed = 4711;

  int64_t draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  Layout draw_layout() {
    Dims shape;
    for (int64_t rank = draw(0, 4); rank > 0; --rank) shape.push_back(draw(1, 4));
    Layout layout = Layout::contiguous(shape);
    for (int64_t steps = draw(0, 4); steps > 0; --steps) layout = draw_view(layout);
    return layout;
  }
  Layout draw_view(const Layout& layout) {
    if (layout.rank() == 0) return layout.unsqueeze(0);
    const int dim = static_cast<int>(draw(0, layout.rank() - 1));
    switch (draw(0, 4)) {
      case 0: return layout.transpose(dim, static_cast<int>(draw(0, layout.rank() - 1)));
      case 1: {
        const int64_t start = draw(0, layout.shape[dim] - 1);
        return layout.slice(dim, start, draw(start + 1, layout.shape[dim]), draw(1, 2));
      }
      case 2: return layout.select(dim, draw(0, layout.shape[dim] - 1));
      case 3: return layout.rank() < 5 ? layout.unsqueeze(dim) : layout;
      default: {
        Dims wide = layout.shape;
        if (wide[dim] == 1) wide[dim] = draw(1, 3);
        return layout.broadcast_to("test", wide);
      }
    }
  }
  std::mt19937_64 engine_{kSeed};
};

TEST_F(RandomViews, ViewKeepsTheElementsInOrder) {
  int made = 0;
  for (int round = 0; round < 3000; ++round) {
    const Layout layout = draw_layout();
    const int64_t n = layout.numel();
    Dims target;
    int64_t left = n;
    while (left > 1 && target.rank() < 4) {
      int64_t part = 1;
      for (int64_t candidate = draw(1, left); candidate >= 1; --candidate) {
        if (left % candidate == 0) {
          part = candidate;
          break;
        }
      }
      target.push_back(part);
      left /= part;
    }
    if (left > 1 || target.empty()) target.push_back(left);
    const std::optional<Layout> view = layout.view(target);
    if (!view) {
      // Only a layout with gaps or out of order may refuse.
      EXPECT_FALSE(layout.is_contiguous());
      continue;
    }
    ++made;
    ASSERT_EQ(offsets(*view), offsets(layout)) << concat(layout.shape, layout.strides, target);
  }
  EXPECT_GT(made, 500);
}

TEST_F(RandomViews, PredicatesAgreeWithTheOffsets) {
  for (int round = 0; round < 3000; ++round) {
    const Layout layout = draw_layout();
    const std::vector<int64_t> all = offsets(layout);
    const std::set<int64_t> distinct(all.begin(), all.end());
    const std::string what = concat(layout.shape, " ", layout.strides);
    EXPECT_EQ(layout.extent_begin(), *distinct.begin()) << what;
    EXPECT_EQ(layout.extent_end(), *distinct.rbegin() + 1) << what;
    bool in_order = true;
    for (size_t i = 0; i < all.size(); ++i) in_order &= all[i] == all[0] + static_cast<int64_t>(i);
    EXPECT_EQ(layout.is_contiguous(), in_order) << what;
    const bool dense =
        distinct.size() == all.size() &&
        *distinct.rbegin() - *distinct.begin() + 1 == static_cast<int64_t>(all.size());
    EXPECT_EQ(layout.is_dense(), dense) << what;
    if (layout.is_non_overlapping()) {
      EXPECT_EQ(distinct.size(), all.size()) << what;
    }
  }
}

TEST(Layout, DiagonalAndUnfoldPickTheirElements) {
  const Layout matrix = Layout::contiguous({3, 4});
  EXPECT_EQ(offsets(matrix.diagonal(0, 1, 0)), (std::vector<int64_t>{0, 5, 10}));
  EXPECT_EQ(offsets(matrix.diagonal(0, 1, 2)), (std::vector<int64_t>{2, 7}));
  EXPECT_EQ(offsets(matrix.diagonal(0, 1, -1)), (std::vector<int64_t>{4, 9}));
  EXPECT_EQ(matrix.diagonal(0, 1, 9).numel(), 0);
  EXPECT_EQ(offsets(Layout::contiguous({5}).unfold(0, 3, 2)),
            (std::vector<int64_t>{0, 1, 2, 2, 3, 4}));
}

TEST(Layout, EmptyShapesAreContiguous) {
  EXPECT_TRUE(Layout::contiguous({0, 3}).is_contiguous());
  EXPECT_EQ(Layout::contiguous({0, 3}).extent_end(), 0);
  EXPECT_EQ(Layout::contiguous({}).numel(), 1);
  EXPECT_TRUE(Layout::contiguous({2, 0}).view({0, 7}).has_value());
}

TEST(Layout, EmptyOnesHaveEveryView) {
  for (const Layout& layout : {Layout{{0, 3}, {7, 2}, 0}, Layout{{3, 0, 5}, {1, 9, 4}, 2}}) {
    EXPECT_TRUE(layout.is_contiguous());
    EXPECT_TRUE(layout.view({0}).has_value());
    EXPECT_TRUE(layout.view({5, 0, 2}).has_value());
  }
}

TEST(Layout, StepsMayBeHuge) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Layout::contiguous({5}).slice(0, 1, 5, kHuge).shape, Dims{1});
  EXPECT_EQ(Layout::contiguous({5}).unfold(0, 2, kHuge).shape, (Dims{1, 2}));
}

TEST(Layout, RefusesWithTheValues) {
  const auto message_of = [](auto&& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_EQ(message_of([] { broadcast_shapes("add", {2, 3}, {4}); }),
            "add: shapes do not broadcast; got (2, 3) and (4,); sizes 3 and 4 meet in dim 1");
  EXPECT_EQ(message_of([] { infer_size("view", {-1, 4}, 6); }),
            "view: (-1, 4) does not hold 6 elements");
  EXPECT_EQ(message_of([] { infer_size("view", {-1, -1}, 6); }),
            "view: only one size can be inferred; got (-1, -1)");
  EXPECT_EQ(message_of([] { normalize_dim("sum", 2, 2); }),
            "sum: dim 2 out of range; got a tensor of 2 dims; expected -2..1");
  EXPECT_EQ(message_of([] { normalize_dims("sum", {0, -2}, 2); }),
            "sum: dim -2 appears twice in (0, -2)");
  const std::vector<int64_t> nine(9, 1);
  EXPECT_EQ(message_of([&] { Dims{std::span<const int64_t>(nine)}; }),
            "tensors have at most 8 dims; got 9");
  EXPECT_EQ(message_of([] { checked_numel("zeros", {int64_t{1} << 40, int64_t{1} << 40}); }),
            "zeros: the number of elements overflows; got (1099511627776, 1099511627776)");
}

}  // namespace
}  // namespace taut
