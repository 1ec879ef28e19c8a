// Which kind a call of a graphed step is of: warm-ups, the least recently used, and gradients.

#include "src/autograd/graph_kinds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "taut/taut.h"

namespace taut::autograd {
namespace {

using Stage = GraphKind::Stage;

// What a capture of a function does, without a graph.
template <class Work>
void capture(GraphKind& kind, const Work& work) {
  {
    const GradSlotsGuard guard(kind.grads);
    work();
  }
  kind.grads.finish();
  kind.stage = Stage::captured;
}

TEST(GraphKinds, AreFoundBySignature) {
  GraphKinds kinds(3, 4);
  GraphKind& a = kinds.find("a");
  EXPECT_EQ(a.number, 1u);
  EXPECT_EQ(a.warmup_left, 3);
  EXPECT_EQ(a.stage, Stage::warming_up);
  EXPECT_EQ(&kinds.find("a"), &a);
  GraphKind& b = kinds.find("b");
  EXPECT_EQ(b.number, 2u);
  capture(a, [] {});
  EXPECT_EQ(&kinds.find("a"), &a);
  EXPECT_EQ(&kinds.find("b"), &b);
}

TEST(GraphKinds, TheLeastRecentlyUsedMakesRoom) {
  GraphKinds kinds(1, 2);
  const uint64_t a = kinds.find("a").number;
  const uint64_t b = kinds.find("b").number;
  EXPECT_EQ(kinds.find("a").number, a);
  kinds.find("c");  // in the place of b
  EXPECT_EQ(kinds.find("a").number, a);
  GraphKind& again = kinds.find("b");
  EXPECT_NE(again.number, b);
  EXPECT_EQ(again.warmup_left, 1);
  EXPECT_EQ(std::distance(kinds.begin(), kinds.end()), 2);
}

TEST(GraphKinds, GradientsTellKindsApart) {
  const Tensor w = ones({3}).requires_grad_();
  const auto work = [&] { (w * 2).sum().backward(); };
  GraphKinds kinds(3, 4);
  GraphKind& fresh = kinds.find("a");
  capture(fresh, work);  // found no gradient
  const Tensor first = w.grad();
  GraphKind& adding = kinds.find("a");
  EXPECT_NE(&adding, &fresh);
  EXPECT_EQ(adding.warmup_left, 0);  // it has run before
  capture(adding, work);             // found the first
  EXPECT_EQ(&kinds.find("a"), &adding);
  w.set_grad(Tensor());
  EXPECT_EQ(&kinds.find("a"), &fresh);
  fresh.grads.apply();
  EXPECT_EQ(&kinds.find("a"), &adding);
}

TEST(GraphKinds, GradientsThatAreAlwaysOthersEndIt) {
  const Tensor w = ones({3}).requires_grad_();
  for (int64_t most : {1, 2, 4}) {
    GraphKinds kinds(0, most);
    Tensors held;  // none lies where another did
    int captures = 0;
    for (int call = 0; call < 8; ++call) {
      held.push_back(zeros({3}));
      w.set_grad(held.back());
      GraphKind& kind = kinds.find("a");
      if (kind.stage == Stage::without_graph) {
        EXPECT_NE(kind.reason.find("gradients"), std::string::npos);
        continue;
      }
      ASSERT_EQ(kind.stage, Stage::warming_up);
      capture(kind, [&] { (w * 2).sum().backward(); });
      ++captures;
    }
    EXPECT_EQ(captures, std::min<int64_t>(most, 3)) << most;
  }
}

TEST(GraphKinds, OneWithoutAGraphStaysSo) {
  GraphKinds kinds(1, 2);
  GraphKind& kind = kinds.find("a");
  kind.stage = Stage::without_graph;
  EXPECT_EQ(&kinds.find("a"), &kind);
}

}  // namespace
}  // namespace taut::autograd
