#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "taut/ai/router.h"
#include "tests/ai/scripted_backend.h"

namespace taut::ai {
namespace {

using testing::answer;
using testing::question;
using testing::ScriptedBackend;

TEST(RouterWithTheSystemsClockTest, ReturnsControlWithinTheDeadline) {
  auto slow = std::make_shared<ScriptedBackend>("slow");
  slow->holds();
  Target target;
  target.backend = slow;
  RouterOptions options;
  options.deadline = 0.05;
  const auto router = Router::create({target}, options);
  const auto call = router->chat(question());
  ASSERT_TRUE(call.wait_for(5));
  EXPECT_THROW(call.get(), ProviderError);
}

TEST(RouterWithTheSystemsClockTest, ManyThreadsWithHedgesAndCancels) {
  const auto quick = local_backend("quick", [](const ChatRequest&) { return answer("quick"); });
  const auto slow = local_backend("slow", [](const ChatRequest&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    return answer("slow");
  });
  Target first, second;
  first.backend = slow;
  second.backend = quick;
  RouterOptions options;
  options.hedge_after = 0.001;
  options.budget = Budget::create({});
  const auto router = Router::create({first, second}, options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const auto call = router->chat(question());
        if ((i + t) % 4 == 0) call.cancel();
        try {
          call.get();
        } catch (const ProviderError& error) {
          EXPECT_EQ(error.kind(), ErrorKind::cancelled);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const TargetStatus& status : router->targets()) EXPECT_EQ(status.in_flight, 0);
  EXPECT_EQ(options.budget->spent().reserved_tokens, 0);
}

}  // namespace
}  // namespace taut::ai
