// Requests and tokens a minute.

#include "src/ai/rate_limit.h"

#include <gtest/gtest.h>

#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"

namespace taut::ai::test {
namespace {

TEST(Durations, AsGoWritesThem) {
  EXPECT_EQ(parse_duration("0s"), 0);
  EXPECT_EQ(parse_duration("1s"), 1);
  EXPECT_EQ(parse_duration("6m0s"), 360);
  EXPECT_EQ(parse_duration("12ms"), 0.012);
  EXPECT_EQ(parse_duration("1h2m3.5s"), 3723.5);
  EXPECT_EQ(parse_duration("2.5"), 2.5);
  for (const char* wrong : {"", "-1", "-1s", "s", "1x", "1m2", "nan", "infs", "1s!"}) {
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
  }
}

TEST(TokenBucket, FillsEvenly) {
  TokenBucket bucket(2, 2, 0.5, 100);
  EXPECT_EQ(bucket.wait(1, 100), 0);
  bucket.take(1, 100);
  bucket.take(1, 100);
  EXPECT_DOUBLE_EQ(bucket.wait(1, 100), 2);
  EXPECT_DOUBLE_EQ(bucket.wait(1, 101), 1);
  EXPECT_EQ(bucket.wait(1, 102), 0);
  EXPECT_EQ(bucket.wait(2, 1000), 0) << "never more than its size";
}

TEST(TokenBucket, WhatIsLargerThanTheBucketIsPaidOff) {
  TokenBucket bucket(10, 10, 1, 0);
  EXPECT_EQ(bucket.wait(50, 0), 0);
  bucket.take(50, 0);
  EXPECT_DOUBLE_EQ(bucket.wait(1, 0), 41);
}

TEST(RateLimits, WhatTheCallerAllows) {
  ProviderConfig config = plain_config("http://127.0.0.1");
  config.requests_per_minute = 60;
  config.tokens_per_minute = 600;
  RateLimits limits(config, 0);
  EXPECT_EQ(limits.wait("m", 5, 0, 60), 0);
  limits.take("m", 5, 0);
  EXPECT_DOUBLE_EQ(limits.wait("m", 5, 0, 60), 1);
  limits.settle(5, 25, 0);  // it took more than was thought
  EXPECT_DOUBLE_EQ(limits.wait("m", 5, 0, 60), 2);
}

HttpAnswer told(const std::string& prefix, const std::string& limit, const std::string& remaining,
                const std::string& reset) {
  HttpAnswer answer;
  if (prefix == "x-") {
    answer.headers = {{"x-ratelimit-limit-requests", limit},
                      {"x-ratelimit-remaining-requests", remaining},
                      {"x-ratelimit-reset-requests", reset}};
  } else {
    answer.headers = {{"anthropic-ratelimit-tokens-limit", limit},
                      {"anthropic-ratelimit-tokens-remaining", remaining},
                      {"anthropic-ratelimit-tokens-reset", reset}};
  }
  return answer;
}

TEST(RateLimits, WhatTheProviderSays) {
  RateLimits limits(plain_config("http://127.0.0.1"), 0);
  limits.learn("m", told("x-", "60", "0", "1m0s"), 100, 0);
  EXPECT_DOUBLE_EQ(limits.wait("m", 0, 100, 60), 1) << "whole after a minute: one a second";
  EXPECT_EQ(limits.wait("other", 0, 100, 60), 0) << "each model for itself";
  EXPECT_EQ(limits.wait("m", 0, 100, 0.5), 0) << "too long to be waited for";
  limits.learn("m", told("x-", "60", "59", "1s"), 101, 0);
  EXPECT_EQ(limits.wait("m", 0, 101, 60), 0);
}

TEST(RateLimits, TokensWithADate) {
  RateLimits limits(plain_config("http://127.0.0.1"), 0);
  limits.learn("m", told("anthropic-", "1000", "0", "2027-01-15T08:00:10Z"), 100, 1'800'000'000);
  EXPECT_DOUBLE_EQ(limits.wait("m", 500, 100, 60), 5);
}

TEST(RateLimits, WhatProxiesMakeOfThem) {
  RateLimits limits(plain_config("http://127.0.0.1"), 0);
  for (const auto& [limit, remaining, reset] :
       {std::tuple("-1", "-1", "0s"), std::tuple("0", "0", "0s"), std::tuple("60", "0", "soon"),
        std::tuple("60", "x", "1s"), std::tuple("60", "0", "-5s")}) {
    limits.learn("m", told("x-", limit, remaining, reset), 100, 0);
    EXPECT_EQ(limits.wait("m", 0, 100, 60), 0) << limit << remaining << reset;
  }
}

TEST(RateLimits, TheClientKeepsToThem) {
  FakeServer server;
  server.answer(http(200, "answer: hi\n"));
  Client client({}, plain_parts());
  ProviderConfig config = plain_config(server.url());
  config.requests_per_minute = 600;  // ten a second
  const Provider plain = client.provider(config);
  const double begin = TimeSource().now();
  std::vector<Pending<ChatResponse>> calls;
  for (int i = 0; i < 14; ++i) calls.push_back(plain.chat(plain_request()));
  for (const auto& call : calls) call.get();
  const double seconds = TimeSource().now() - begin;
  EXPECT_GE(seconds, 0.39) << "ten at once, and four in 0.4 s";
  EXPECT_LT(seconds, 5);
}

TEST(RateLimits, TheClientWaitsForWhatTheProviderTold) {
  FakeServer server;
  server.answer(http(200, "answer: hi\n",
                     "x-ratelimit-limit-requests: 10\r\nx-ratelimit-remaining-requests: 0\r\n"
                     "x-ratelimit-reset-requests: 2s\r\n"));
  server.answer(http(200, "answer: hi\n"));
  Client client({}, plain_parts());
  const Provider plain = client.provider(plain_config(server.url()));
  plain.chat(plain_request()).get();
  const double begin = TimeSource().now();
  plain.chat(plain_request()).get();
  EXPECT_GE(TimeSource().now() - begin, 0.19);
}

}  // namespace
}  // namespace taut::ai::test
