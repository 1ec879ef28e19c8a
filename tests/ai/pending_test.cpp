// Results that are not there yet.

#include "taut/ai/pending.h"

#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/ai/executor.h"
#include "taut/base/error.h"
#include "taut/base/small_mutex.h"
#include "tests/ai/task.h"

namespace taut::ai::test {
namespace {

TEST(Pending, IsSetOnce) {
  const Promise<int> promise;
  const Pending<int> pending = promise.pending();
  EXPECT_FALSE(pending.is_done());
  EXPECT_FALSE(pending.wait_for(0.01));
  EXPECT_TRUE(promise.set(1));
  EXPECT_FALSE(promise.set(2));
  EXPECT_TRUE(pending.wait_for(0));
  EXPECT_EQ(pending.get(), 1);
  EXPECT_EQ(pending.get(), 1) << "as often as one likes";
}

TEST(Pending, GivesTheError) {
  const Promise<int> promise;
  promise.set(std::make_exception_ptr(std::runtime_error("no")));
  EXPECT_THROW(promise.pending().get(), std::runtime_error);
}

TEST(Pending, TellsEveryoneWhoAsked) {
  const Promise<int> promise;
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    promise.pending().then([&sum](Outcome<int> outcome) { sum += outcome.value(); });
  }
  EXPECT_EQ(sum, 0);
  promise.set(5);
  EXPECT_EQ(sum, 15);
  promise.pending().then([&sum](Outcome<int> outcome) { sum += outcome.value(); });
  EXPECT_EQ(sum, 20) << "at once, where it is done";
}

TEST(Pending, WaitsLongerThanTheClockCounts) {
  const Promise<int> promise;
  std::thread later([&] { promise.set(1); });
  EXPECT_TRUE(promise.pending().wait_for(1e300));
  later.join();
}

Task await(Pending<int> pending, std::string& failure) {
  try {
    co_await pending;
  } catch (const ValueError& error) {
    failure = error.what();
  }
}

/// Whatever is asked of it, nothing else happens.
void expect_refusals(const Pending<int>& pending) {
  EXPECT_FALSE(pending.valid());
  EXPECT_THROW(pending.is_done(), ValueError);
  EXPECT_THROW(pending.wait_for(0), ValueError);
  EXPECT_THROW(pending.get(), ValueError);
  EXPECT_THROW(pending.cancel(), ValueError);
  EXPECT_THROW(pending.then([](const Outcome<int>&) { FAIL(); }), ValueError);
  std::string failure;
  await(pending, failure);
  EXPECT_NE(failure.find("of no call"), std::string::npos) << failure;
}

TEST(Pending, OfNoCall) { expect_refusals(Pending<int>()); }

TEST(Pending, MovedFrom) {
  const Promise<int> promise;
  Pending<int> from = promise.pending();
  const Pending<int> to = std::move(from);
  expect_refusals(from);
  promise.set(1);
  EXPECT_TRUE(to.valid());
  EXPECT_EQ(to.get(), 1);
}

TEST(Pending, NobodyToTell) {
  const Promise<int> promise;
  EXPECT_THROW(promise.pending().then({}), ValueError);
  promise.set(1);
  EXPECT_THROW(promise.pending().then({}), ValueError);
}

TEST(Pending, NeitherAValueNorAnError) {
  const Promise<int> promise;
  EXPECT_THROW(promise.set(std::exception_ptr()), ValueError);
  EXPECT_FALSE(promise.pending().is_done());
  EXPECT_TRUE(promise.set(1));
}

TEST(Pending, APromiseThatWasMovedFromIsTheSame) {
  Promise<int> from;
  const Promise<int> to = std::move(from);
  EXPECT_TRUE(from.set(1));
  EXPECT_EQ(to.pending().get(), 1);
}

TEST(Pending, CancellingAsksItsOwnerOnce) {
  const Promise<int> promise;
  int asked = 0;
  promise.on_cancel([&] {
    ++asked;
    promise.set(-1);
  });
  promise.pending().cancel();
  promise.pending().cancel();
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(promise.pending().get(), -1);
}

TEST(Pending, CancellingWithoutAnOwnerChangesNothing) {
  const Promise<int> promise;
  promise.pending().cancel();
  EXPECT_FALSE(promise.pending().is_done());
  promise.set(1);
  EXPECT_EQ(promise.pending().get(), 1);
}

TEST(Pending, NothingBeginsAfterCancel) {
  for (int round = 0; round < 200; ++round) {
    const Executor executor(2);
    const Promise<int> promise;
    promise.on_thread_of([&executor](Callback<void()> task) { executor.run(std::move(task)); });
    promise.on_cancel([&promise] { promise.set(-1); });
    std::atomic<bool> has_returned{false}, was_late{false};
    std::atomic<int> told{0};
    for (int i = 0; i < 8; ++i) {
      promise.pending().then([&](const Outcome<int>&) {
        if (has_returned) was_late = true;
        ++told;
      });
    }
    std::thread setter([&] { promise.set(1); });
    promise.pending().cancel();
    has_returned = true;
    setter.join();
    EXPECT_FALSE(was_late);
    EXPECT_EQ(told, 8);
  }
}

TEST(Pending, ACallbackMayCancelWhatCalledIt) {
  const Promise<int> promise;
  int told = 0;
  promise.pending().then([&](const Outcome<int>&) {
    ++told;
    promise.pending().cancel();
  });
  promise.pending().then([&](const Outcome<int>&) { ++told; });
  promise.set(1);
  EXPECT_EQ(told, 2);
}

TEST(Pending, ACallbackThatIsNeverToldIsLetGoOf) {
  const auto held = std::make_shared<int>(1);
  {
    const Promise<int> promise;
    promise.pending().then([held](const Outcome<int>&) { ADD_FAILURE(); });
    promise.pending().then([held](const Outcome<int>&) { ADD_FAILURE(); });
    EXPECT_GT(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Pending, LetsGoOfItsHooksWhenItIsDone) {
  const auto held = std::make_shared<int>(1);
  const Promise<int> promise;
  promise.on_cancel([held] {});
  promise.on_thread_of([held](const Callback<void()>& task) { task(); });
  EXPECT_GT(held.use_count(), 2);
  promise.set(1);
  EXPECT_EQ(held.use_count(), 1);
  promise.on_cancel([held] {});
  EXPECT_EQ(held.use_count(), 1) << "nobody would call it";
}

TEST(Pending, ACoroutineGetsWhatOthersGetToo) {
  const Promise<std::string> promise;
  const Pending<std::string> kept = promise.pending();
  std::vector<std::string> got;
  const auto wait = [&got](Pending<std::string> pending) -> Task {
    got.push_back(co_await pending);
  };
  wait(promise.pending());
  wait(promise.pending());
  EXPECT_TRUE(got.empty());
  promise.set(std::string(100, 'x'));
  wait(promise.pending());
  ASSERT_EQ(got.size(), 3u);
  for (const std::string& text : got) EXPECT_EQ(text, std::string(100, 'x'));
  EXPECT_EQ(kept.get(), std::string(100, 'x'));
}

TEST(SmallMutex, LetsInOneAtATime) {
  constexpr int kThreads = 4, kTimes = 20'000;
  SmallMutex mutex;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kTimes; ++k) {
        const std::lock_guard lock(mutex);
        ++count;
        if (k % 64 == 0) std::this_thread::yield();  // while others wait for it
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, kThreads * kTimes);
}

TEST(Executor, RunsInOrderAndToTheEnd) {
  std::vector<int> order;
  {
    const Executor executor(1);
    for (int i = 0; i < 100; ++i) executor.run([&order, i] { order.push_back(i); });
  }
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(Executor, IsGivenAtOnceWhatAThreadHasGathered) {
  std::atomic<int> run{0};
  const Executor executor(1);
  std::thread giver([&] {
    Executor::Holding holding(executor);
    for (int i = 0; i < 100; ++i) executor.run([&] { ++run; });
    EXPECT_EQ(run, 0);
    EXPECT_EQ(holding.pass_on(), std::numeric_limits<double>::infinity());
    // What may wait does so for a moment, and not longer than what may not.
    executor.run_soon([&] { ++run; });
    const double left = holding.pass_on();
    EXPECT_TRUE(left <= 0.001 || left == std::numeric_limits<double>::infinity()) << left;
    executor.run([&] { ++run; });
    EXPECT_EQ(holding.pass_on(), std::numeric_limits<double>::infinity());
    executor.run_soon([&] { ++run; });
  });
  giver.join();
  const Promise<int> last;
  executor.run([&] { last.set(run.load()); });
  EXPECT_EQ(last.pending().get(), 103);
}

TEST(Executor, UsesItsThreads) {
  std::atomic<int> waiting{0};
  const Executor executor(4);
  const Promise<int> all;
  for (int i = 0; i < 4; ++i) {
    executor.run([&waiting, all] {
      if (++waiting == 4) all.set(1);
      all.pending().get();
    });
  }
  EXPECT_TRUE(all.pending().wait_for(10));
}

}  // namespace
}  // namespace taut::ai::test
