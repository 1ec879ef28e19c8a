#include "src/ai/breaker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace taut::ai {
namespace {

using State = CircuitBreaker::State;

void fail_times(CircuitBreaker& breaker, int times, double now,
                ErrorKind kind = ErrorKind::server_error) {
  for (int i = 0; i < times; ++i) {
    const auto ticket = breaker.acquire(now);
    ASSERT_TRUE(ticket.has_value()) << "call " << i;
    breaker.failed(*ticket, now, kind, std::nullopt);
  }
}

TEST(BreakerTest, FiveFailuresInARowOpenIt) {
  CircuitBreaker breaker;
  fail_times(breaker, 4, 0);
  EXPECT_EQ(breaker.state(0), State::closed);
  fail_times(breaker, 1, 0);
  EXPECT_EQ(breaker.state(0), State::open);
  EXPECT_FALSE(breaker.acquire(4.9).has_value());
  EXPECT_DOUBLE_EQ(breaker.seconds_until_probe(1), 4);
}

TEST(BreakerTest, MoreThanHalfOfTheLastMinuteOpensIt) {
  CircuitBreaker breaker;
  const auto call = [&](bool fails, double now) {
    const auto ticket = breaker.acquire(now);
    ASSERT_TRUE(ticket.has_value());
    if (fails) {
      breaker.failed(*ticket, now, ErrorKind::overloaded, std::nullopt);
    } else {
      breaker.succeeded(*ticket, now);
    }
  };
  for (int i = 0; i < 3; ++i) {
    call(false, 0);
    call(true, 0);
  }
  EXPECT_EQ(breaker.state(0), State::closed) << "half is not more than half";
  call(true, 1);
  EXPECT_EQ(breaker.state(1), State::open);
}

TEST(BreakerTest, OldFailuresAreForgotten) {
  CircuitBreaker breaker;
  fail_times(breaker, 3, 0);
  breaker.succeeded(*breaker.acquire(0), 0);
  for (int i = 0; i < 3; ++i) breaker.succeeded(*breaker.acquire(70), 70);
  fail_times(breaker, 3, 70);
  EXPECT_EQ(breaker.state(70), State::closed);
}

TEST(BreakerTest, PausesDoubleUpToTheirLimit) {
  CircuitBreaker breaker;
  double now = 0;
  fail_times(breaker, 5, now);
  for (double pause : {5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0}) {
    EXPECT_DOUBLE_EQ(breaker.seconds_until_probe(now), pause);
    now += pause;
    const auto probe = breaker.acquire(now);
    ASSERT_TRUE(probe && probe->is_probe);
    breaker.failed(*probe, now, ErrorKind::connection, std::nullopt);
  }
  now += 300;
  breaker.succeeded(*breaker.acquire(now), now);
  EXPECT_EQ(breaker.state(now), State::closed);
  fail_times(breaker, 5, now);
  EXPECT_DOUBLE_EQ(breaker.seconds_until_probe(now), 5) << "a success begins anew";
}

TEST(BreakerTest, RateLimitsOpenItForWhatTheServerAsks) {
  CircuitBreaker breaker;
  breaker.failed(*breaker.acquire(0), 0, ErrorKind::rate_limited, 61.0);
  EXPECT_DOUBLE_EQ(breaker.seconds_until_probe(0), 61);
  CircuitBreaker without;
  without.failed(*without.acquire(0), 0, ErrorKind::rate_limited, std::nullopt);
  EXPECT_DOUBLE_EQ(without.seconds_until_probe(0), 5);
  CircuitBreaker shorter;
  shorter.failed(*shorter.acquire(0), 0, ErrorKind::rate_limited, 1.0);
  EXPECT_DOUBLE_EQ(shorter.seconds_until_probe(0), 5);
}

TEST(BreakerTest, WhatWaitingDoesNotHelpOpensItForLong) {
  for (ErrorKind kind :
       {ErrorKind::auth, ErrorKind::quota_exhausted, ErrorKind::permission, ErrorKind::not_found}) {
    CircuitBreaker breaker;
    breaker.failed(*breaker.acquire(0), 0, kind, std::nullopt);
    EXPECT_DOUBLE_EQ(breaker.seconds_until_probe(0), BreakerOptions().long_pause) << name(kind);
    breaker.reset();
    EXPECT_EQ(breaker.state(0), State::closed);
  }
}

TEST(BreakerTest, FaultsOfTheRequestAreNotTheTargets) {
  CircuitBreaker breaker;
  for (ErrorKind kind :
       {ErrorKind::invalid_request, ErrorKind::unsupported_parameter, ErrorKind::context_length,
        ErrorKind::content_policy, ErrorKind::request_too_large, ErrorKind::cancelled,
        ErrorKind::budget_exceeded}) {
    fail_times(breaker, 10, 0, kind);
    EXPECT_EQ(breaker.state(0), State::closed) << name(kind);
  }
}

TEST(BreakerTest, OneProbeAmongSixtyFourThreads) {
  CircuitBreaker breaker;
  fail_times(breaker, 5, 0);
  std::mutex mutex;
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&] {
      const std::lock_guard lock(mutex);
      if (breaker.acquire(5)) ++admitted;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted, 1);
}

TEST(BreakerTest, AProbeThatIsCalledOffMakesRoomForAnother) {
  CircuitBreaker breaker;
  fail_times(breaker, 5, 0);
  const auto probe = breaker.acquire(5);
  ASSERT_TRUE(probe);
  EXPECT_FALSE(breaker.would_admit(5));
  breaker.released(*probe);
  EXPECT_TRUE(breaker.would_admit(5));
}

TEST(BreakerTest, CallsFromBeforeItOpenedSayNothing) {
  CircuitBreaker breaker;
  const auto early = breaker.acquire(0);
  fail_times(breaker, 5, 0);
  breaker.succeeded(*early, 1);
  EXPECT_EQ(breaker.state(1), State::open);
}

}  // namespace
}  // namespace taut::ai
