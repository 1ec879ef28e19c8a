// When attention gets a plan of cuDNN: Note [Plans that pay].

#include "kernels/attention/plan_budget.h"

#include <gtest/gtest.h>

namespace taut::kernels::cuda {
namespace {

using Plans = PaidPlans<int>;
constexpr double kHalf = Plans::kWorthAPlan / 2;

TEST(PaidPlans, MakesAPlanOnceTheWorkIsDone) {
  Plans plans;
  int made = 0;
  const auto make = [&] { return ++made; };
  EXPECT_EQ(plans.find("a", kHalf, false, make), nullptr);
  EXPECT_EQ(plans.find("b", kHalf, false, make), nullptr);
  EXPECT_EQ(made, 0);
  const int* plan = plans.find("a", kHalf, false, make);
  ASSERT_NE(plan, nullptr);
  EXPECT_EQ(*plan, 1);
  EXPECT_EQ(plans.find("a", 0, false, make), plan);
  EXPECT_EQ(made, 1);
}

TEST(PaidPlans, MakesAPlanAtOnceWhereThatIsWanted) {
  Plans plans;
  int made = 0;
  ASSERT_NE(plans.find("a", 0, true, [&] { return ++made; }), nullptr);
  EXPECT_EQ(made, 1);
}

TEST(PaidPlans, AFailedPlanLeavesTheShapeAsItWas) {
  Plans plans;
  const auto fail = []() -> int { throw std::runtime_error("no"); };
  EXPECT_THROW(plans.find("a", 0, true, fail), std::runtime_error);
  EXPECT_EQ(plans.find("a", 0, false, fail), nullptr);
}

TEST(PaidPlans, PassingShapesDoNotPushPlansOut) {
  Plans plans;
  const auto make = [] { return 7; };
  const int* kept = plans.find("kept", 0, true, make);
  for (int i = 0; i < 2000; ++i) plans.find(std::to_string(i), 1, false, make);
  EXPECT_LE(plans.size(), Plans::kCapacity);
  EXPECT_EQ(plans.find("kept", 0, false, make), kept);
}

TEST(PaidPlans, WorkIsThatOfTheProducts) {
  AttentionShape shape;
  shape.batch = 2;
  shape.heads = 3;
  shape.queries = 10;
  shape.keys = 20;
  shape.width = 8;
  shape.value_width = 4;
  EXPECT_EQ(attention_work(shape), 2.0 * 2 * 3 * 10 * 20 * (8 + 4));
  shape.is_causal = true;
  EXPECT_EQ(attention_work(shape), 2.0 * 3 * 10 * 20 * (8 + 4));
}

}  // namespace
}  // namespace taut::kernels::cuda
