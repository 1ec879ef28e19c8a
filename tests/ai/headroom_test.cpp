#include "src/ai/headroom.h"

#include <gtest/gtest.h>

namespace taut::ai {
namespace {

TEST(HeadroomTest, ABucketFillsInAMinute) {
  Headroom headroom(2.0, std::nullopt);
  EXPECT_EQ(headroom.seconds_until(0, 1), 0);
  headroom.take(0, 1);
  headroom.take(0, 1);
  EXPECT_DOUBLE_EQ(headroom.seconds_until(0, 1), 30);
  EXPECT_DOUBLE_EQ(headroom.seconds_until(20, 1), 10);
  EXPECT_EQ(headroom.seconds_until(30, 1), 0);
}

TEST(HeadroomTest, ARequestLargerThanAMinutesWorthWaitsForAFullBucket) {
  Headroom headroom(std::nullopt, 600.0);
  EXPECT_EQ(headroom.seconds_until(0, 5000), 0);
  headroom.take(0, 5000);
  EXPECT_DOUBLE_EQ(headroom.seconds_until(0, 600), 500);
}

TEST(HeadroomTest, LearnsFromHeaders) {
  Headroom headroom(std::nullopt, std::nullopt);
  headroom.learn(0,
                 {{"x-ratelimit-remaining-requests", "1"}, {"x-ratelimit-reset-requests", "12s"}});
  EXPECT_EQ(headroom.seconds_until(0, 100), 0);
  headroom.take(0, 100);
  EXPECT_DOUBLE_EQ(headroom.seconds_until(2, 100), 10);
  EXPECT_EQ(headroom.seconds_until(12, 100), 0);
  headroom.learn(20, {{"x-ratelimit-remaining-tokens", "0"}, {"x-ratelimit-reset-tokens", "6m0s"}});
  EXPECT_DOUBLE_EQ(headroom.seconds_until(20, 1), 360);
}

TEST(HeadroomTest, IgnoresHeadersThatMakeNoSense) {
  Headroom headroom(std::nullopt, std::nullopt);
  for (const char* remaining : {"-1", "many", "", "0x"}) {
    headroom.learn(
        0, {{"x-ratelimit-remaining-requests", remaining}, {"x-ratelimit-reset-requests", "1h"}});
    EXPECT_EQ(headroom.seconds_until(0, 1), 0) << remaining;
  }
  headroom.learn(0, {{"x-ratelimit-remaining-requests", "0"}});
  EXPECT_EQ(headroom.seconds_until(0, 1), 0);
}

TEST(HeadroomTest, ReadsDurations) {
  EXPECT_DOUBLE_EQ(*duration_of("12ms"), 0.012);
  EXPECT_DOUBLE_EQ(*duration_of("0s"), 0);
  EXPECT_DOUBLE_EQ(*duration_of("6m0s"), 360);
  EXPECT_DOUBLE_EQ(*duration_of("1h2m3.5s"), 3723.5);
  EXPECT_DOUBLE_EQ(*duration_of("30"), 30);
  for (const char* text : {"", "s", "-1s", "1x", "nan", "inf", "1s2"}) {
    EXPECT_FALSE(duration_of(text).has_value()) << text;
  }
}

TEST(HeadroomTest, ReadsTimes) {
  const double noon = 1795953600;  // 2026-11-29T12:00:00Z
  EXPECT_DOUBLE_EQ(*seconds_until_time("2026-11-29T12:00:30Z", noon), 30);
  EXPECT_DOUBLE_EQ(*seconds_until_time("2026-11-29T13:00:30.25+01:00", noon), 30);
  EXPECT_DOUBLE_EQ(*seconds_until_time("2020-01-01T00:00:00Z", noon), 0);
  for (const char* text : {"", "soon", "2026-13-01T00:00:00Z", "2026-11-29T25:00:00Z",
                           "2026-11-29T12:00:00", "2026-11-29T12:00:00+1"}) {
    EXPECT_FALSE(seconds_until_time(text, noon).has_value()) << text;
  }
}

}  // namespace
}  // namespace taut::ai
