#include "taut/base/parallel.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include "taut/base/serial.h"
#include "taut/taut.h"

namespace taut {
namespace {

class Parallel : public ::testing::Test {
 protected:
  Parallel() { set_num_threads(3); }
  ~Parallel() override { set_num_threads(before_); }

 private:
  int before_ = get_num_threads();
};

// How often each of n indices is visited.
std::vector<int> visits(int64_t n, int64_t grain) {
  std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
  });
  return {hits.begin(), hits.end()};
}

TEST_F(Parallel, CoversTheRangeOnce) {
  for (int threads : {1, 2, 3, 7, 64, 1000}) {
    set_num_threads(threads);
    for (int64_t n : {1, 2, 9, 10, 11, 1000}) {
      EXPECT_EQ(visits(n, 10), std::vector<int>(static_cast<size_t>(n), 1)) << threads << " " << n;
    }
  }
}

TEST_F(Parallel, ForwardsTheFirstExceptionAndGoesOn) {
  for (int round = 0; round < 100; ++round) {
    EXPECT_THROW(parallel_for(100, 1,
                              [](int64_t begin, int64_t) {
                                if (begin > 0) throw ValueError("from a thread");
                              }),
                 ValueError);
    EXPECT_EQ(visits(100, 1), std::vector<int>(100, 1));
  }
}

TEST_F(Parallel, RefusesNoThreads) { EXPECT_THROW(set_num_threads(0), ValueError); }

TEST_F(Parallel, IsSerialInsideARegionAndUnderAGuard) {
  std::atomic<int> nested{0};
  parallel_for(3, 1, [&](int64_t, int64_t) {
    EXPECT_TRUE(in_parallel_region());
    parallel_for(100, 1, [&](int64_t begin, int64_t end) {
      EXPECT_EQ(begin, 0);
      EXPECT_EQ(end, 100);
      ++nested;
    });
  });
  EXPECT_EQ(nested.load(), 3);
  EXPECT_FALSE(in_parallel_region());
  const SerialGuard serial;
  std::set<std::thread::id> threads;
  parallel_for(100, 1, [&](int64_t, int64_t) { threads.insert(std::this_thread::get_id()); });
  EXPECT_EQ(threads, std::set<std::thread::id>{std::this_thread::get_id()});
}

// One that begins late must not take pieces of a later call for its own, nor the other way round.
TEST_F(Parallel, ManyShortCallsFollowOneAnother) {
  std::vector<int64_t> sums(64);
  for (int64_t call = 0; call < 20000; ++call) {
    set_num_threads(2 + static_cast<int>(call % 3));
    const int64_t n = 2 + call % 60;
    parallel_for(n, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) sums[static_cast<size_t>(i)] = call + i;
    });
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(sums[static_cast<size_t>(i)], call + i);
  }
}

TEST_F(Parallel, WakesThreadsThatHaveGoneToSleep) {
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(visits(3, 1), std::vector<int>(3, 1));
  }
}

// The others do what a thread that gets no core would have done: here, because it is busy with the
// piece before.
TEST_F(Parallel, CallersShareTheTeamOrDoWithout) {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 500; ++i) wrong += visits(50, 1) != std::vector<int>(50, 1);
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong.load(), 0);
}

#if !defined(__SANITIZE_THREAD__)  // which does not follow a child of several threads
TEST_F(Parallel, AChildMadeByForkIsSerialUntilItAsksForMore) {
  visits(3, 1);  // the team is at work
  const pid_t child = fork();
  if (child == 0) {
    bool is_right = get_num_threads() == 1 && visits(100, 1) == std::vector<int>(100, 1);
    set_num_threads(3);
    is_right = is_right && visits(100, 1) == std::vector<int>(100, 1);
    _exit(is_right ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(visits(100, 1), std::vector<int>(100, 1));
}
#endif

}  // namespace
}  // namespace taut
