#include "taut/ai/budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "taut/ai/error.h"

namespace taut::ai {
namespace {

CostEstimate estimate(int64_t tokens, std::optional<double> cost = std::nullopt) {
  CostEstimate estimate;
  estimate.output_tokens = tokens;
  estimate.cost = cost;
  return estimate;
}

ErrorDetails refused(Budget& budget, const CostEstimate& wanted, const char* provider = "p",
                     const char* task = "t") {
  try {
    budget.reserve(provider, task, wanted);
  } catch (const ProviderError& error) {
    return error.details();
  }
  ADD_FAILURE() << "the budget allowed it";
  return {};
}

TEST(BudgetTest, ReservesBeforeAndSettlesAfter) {
  const auto budget =
      Budget::create({.run = {.dollars = 1.0, .tokens = {}}, .providers = {}, .tasks = {}});
  Budget::Reservation first = budget->reserve("p", "t", estimate(100, 0.6));
  EXPECT_DOUBLE_EQ(budget->spent().reserved_dollars, 0.6);
  EXPECT_EQ(refused(*budget, estimate(100, 0.6)).kind, ErrorKind::budget_exceeded);
  first.settle(40, 0.2);
  EXPECT_DOUBLE_EQ(budget->spent().dollars, 0.2);
  EXPECT_EQ(budget->spent().tokens, 40);
  EXPECT_DOUBLE_EQ(budget->spent().reserved_dollars, 0);
  budget->reserve("p", "t", estimate(100, 0.6)).settle(100, 0.6);
  EXPECT_EQ(budget->spent().calls, 2);
}

TEST(BudgetTest, WhatNobodySettlesIsSpentInFull) {
  const auto budget = Budget::create({});
  { const auto dropped = budget->reserve("p", "t", estimate(100, 0.25)); }
  EXPECT_DOUBLE_EQ(budget->spent().dollars, 0.25);
  EXPECT_EQ(budget->spent().tokens, 100);
  budget->reserve("p", "t", estimate(100, 0.25)).release();
  EXPECT_DOUBLE_EQ(budget->spent().dollars, 0.25);
  EXPECT_EQ(budget->spent().reserved_tokens, 0);
  budget->reserve("p", "t", estimate(100, 0.25)).settle(std::nullopt, std::nullopt);
  EXPECT_DOUBLE_EQ(budget->spent().dollars, 0.5);
}

TEST(BudgetTest, LimitsOfProvidersAndTasksHoldBesidesTheRuns) {
  const auto budget = Budget::create({.run = {.dollars = {}, .tokens = 1000},
                                      .providers = {{"small", {.dollars = {}, .tokens = 10}}},
                                      .tasks = {{"labels", {.dollars = {}, .tokens = 50}}}});
  EXPECT_NE(refused(*budget, estimate(11), "small").message.find("the provider small"),
            std::string::npos);
  EXPECT_NE(refused(*budget, estimate(51), "p", "labels").message.find("the task labels"),
            std::string::npos);
  EXPECT_NE(refused(*budget, estimate(1001)).message.find("the run"), std::string::npos);
  budget->reserve("small", "labels", estimate(10)).settle(10, std::nullopt);
  EXPECT_EQ(budget->spent_by_provider("small").tokens, 10);
  EXPECT_EQ(budget->spent_by_task("labels").tokens, 10);
  EXPECT_EQ(budget->spent_by_task("other").tokens, 0);
  EXPECT_EQ(budget->spent().calls_of_unknown_cost, 1);
}

TEST(BudgetTest, TheMessageHasTheFigures) {
  const auto budget =
      Budget::create({.run = {.dollars = {}, .tokens = 100}, .providers = {}, .tasks = {}});
  budget->reserve("p", "t", estimate(30)).settle(30, std::nullopt);
  const auto held = budget->reserve("p", "t", estimate(20));
  EXPECT_EQ(
      refused(*budget, estimate(51)).message,
      "budget: the run: tokens: spent 30, held by calls 20, asked for 51; expected at most 100");
  EXPECT_EQ(budget->refusal("p", "t", estimate(50)), "");
}

TEST(BudgetTest, AnUnknownPriceIsHeldAgainstTokensAlone) {
  const auto budget =
      Budget::create({.run = {.dollars = 0.0, .tokens = 100}, .providers = {}, .tasks = {}});
  EXPECT_TRUE(budget->reserve("p", "t", estimate(60)));
  EXPECT_EQ(refused(*budget, estimate(60)).kind, ErrorKind::budget_exceeded);
  EXPECT_EQ(refused(*budget, estimate(1, 0.01)).kind, ErrorKind::budget_exceeded);
}

TEST(BudgetTest, ManyThreadsNeverPassTheLimitByMoreThanOneCall) {
  constexpr int kThreads = 16;
  constexpr int kCalls = 500;
  constexpr int64_t kReserve = 10;
  const auto budget =
      Budget::create({.run = {.dollars = 1.5, .tokens = 20000}, .providers = {}, .tasks = {}});
  std::atomic<int> allowed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kCalls; ++i) {
        try {
          auto reservation = budget->reserve(t % 2 ? "a" : "b", "t", estimate(kReserve, 0.001));
          ++allowed;
          // Some are dropped, some take less, and some more than they said.
          if (i % 3 == 0) reservation.settle(kReserve / 2, 0.0005);
          if (i % 3 == 1) reservation.settle(kReserve, 0.001);
        } catch (const ProviderError& error) {
          EXPECT_EQ(error.kind(), ErrorKind::budget_exceeded);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Spending spending = budget->spent();
  EXPECT_LE(spending.tokens, 20000);
  EXPECT_LE(spending.dollars, 1.5 + 1e-9);
  EXPECT_GT(spending.dollars, 1.5 - 2 * 0.001) << "it was used up";
  EXPECT_EQ(spending.calls, allowed);
  EXPECT_EQ(spending.reserved_tokens, 0);
  EXPECT_EQ(spending.tokens,
            budget->spent_by_provider("a").tokens + budget->spent_by_provider("b").tokens);
}

TEST(BudgetTest, LimitsThatMakeNoSenseAreRefused) {
  EXPECT_THROW(
      Budget::create({.run = {.dollars = -1.0, .tokens = {}}, .providers = {}, .tasks = {}}),
      ValueError);
  EXPECT_THROW(Budget::create({.run = {.dollars = {}, .tokens = -1}, .providers = {}, .tasks = {}}),
               ValueError);
  EXPECT_THROW(Budget::create({.run = {}, .providers = {{"a", {}}, {"a", {}}}, .tasks = {}}),
               ValueError);
}

TEST(BudgetTest, MovedReservationsSettleOnce) {
  const auto budget = Budget::create({});
  Budget::Reservation a = budget->reserve("p", "t", estimate(1));
  Budget::Reservation b = std::move(a);
  a = budget->reserve("p", "t", estimate(10));
  a = std::move(b);  // the ten are dropped
  EXPECT_EQ(budget->spent().tokens, 10);
  a.settle(1, std::nullopt);
  a.settle(1, std::nullopt);
  EXPECT_EQ(budget->spent().tokens, 11);
}

}  // namespace
}  // namespace taut::ai
