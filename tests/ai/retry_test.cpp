// When a failed request is made again, and after how long.

#include "src/ai/retry.h"

#include <gtest/gtest.h>

#include <cmath>

#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"

namespace taut::ai::test {
namespace {

HttpAnswer answer_with(std::vector<Header> headers) {
  HttpAnswer answer;
  answer.status = 429;
  answer.headers = std::move(headers);
  return answer;
}

constexpr double kNow = 1'800'000'000;  // Fri, 15 Jan 2027 08:00:00 GMT

TEST(RetryAfter, EveryFormOfIt) {
  struct Case {
    std::vector<Header> headers;
    std::optional<double> seconds;
  };
  const Case cases[] = {
      {{{"retry-after", "0"}}, 0},
      {{{"retry-after", "1"}}, 1},
      {{{"retry-after", "1.5"}}, 1.5},
      {{{"retry-after", "61"}}, 61},
      {{{"retry-after", "86400"}}, 86400},
      {{{"retry-after", "-1"}}, std::nullopt},
      {{{"retry-after", "abc"}}, std::nullopt},
      {{{"retry-after", "1x"}}, std::nullopt},
      {{{"retry-after", "nan"}}, std::nullopt},
      {{{"retry-after", "inf"}}, std::nullopt},
      {{{"retry-after", "1e400"}}, std::nullopt},
      {{{"retry-after", ""}}, std::nullopt},
      {{}, std::nullopt},
      {{{"retry-after", "Fri, 15 Jan 2027 08:00:05 GMT"}}, 5},
      {{{"retry-after", "Fri, 15 Jan 2027 07:59:00 GMT"}}, std::nullopt},
      {{{"retry-after", "Friday, 15-Jan-27 08:00:05 GMT"}}, 5},
      {{{"retry-after", "Fri Jan 15 08:00:05 2027"}}, 5},
      {{{"retry-after-ms", "250"}, {"retry-after", "9"}}, 0.25},
      {{{"retry-after-ms", "no"}, {"retry-after", "9"}}, 9},
  };
  for (const Case& one : cases) {
    const std::string text = one.headers.empty() ? "none" : one.headers.front().second;
    EXPECT_EQ(retry_after_of(answer_with(one.headers), kNow), one.seconds) << text;
  }
}

TEST(RetryAfter, DatesOfRfc3339) {
  EXPECT_EQ(parse_date("2027-01-15T08:00:00Z"), kNow);
  EXPECT_EQ(parse_date("2027-01-15T08:00:00.123Z"), kNow);
  EXPECT_EQ(parse_date("2027-01-15T09:30:00+01:30"), kNow);
  EXPECT_TRUE(std::isnan(parse_date("2027-01-15T08:00:00 or so")));
  EXPECT_TRUE(std::isnan(parse_date("")));
}

TEST(Backoff, GrowsAndIsDrawn) {
  EXPECT_DOUBLE_EQ(backoff(0, 0), 0.25);
  EXPECT_DOUBLE_EQ(backoff(0, 1), 0.5);
  EXPECT_DOUBLE_EQ(backoff(2, 1), 2);
  EXPECT_DOUBLE_EQ(backoff(4, 1), 8);
  EXPECT_DOUBLE_EQ(backoff(30, 0), 4);
}

TEST(RetryBudget, OneForTenRequestsAndFive) {
  RetryBudget budget;
  for (int i = 0; i < 20; ++i) budget.count_request(0);
  int taken = 0;
  while (budget.take(1)) ++taken;
  EXPECT_EQ(taken, 7);
  EXPECT_FALSE(budget.take(59));
  EXPECT_TRUE(budget.take(61.5)) << "a minute later it is forgotten";
}

/// A client whose pauses take no time.
class RetryTest : public ::testing::Test {
 protected:
  Provider provider(ClientOptions options = {}) {
    if (options.seed == 0) options.seed = 17;
    client_.emplace(std::move(options), plain_parts(time_));
    return client_->provider(plain_config(server_.url()));
  }
  static std::string failure(int status, const std::string& headers = {},
                             const std::string& body = "no\n") {
    return http(status, body, headers);
  }
  size_t asked() const { return server_.requests().size(); }

  FakeServer server_;
  std::shared_ptr<InstantTime> time_ = std::make_shared<InstantTime>();
  std::optional<Client> client_;
};

TEST_F(RetryTest, StatusesThatPass) {
  for (const int status : {408, 409, 429, 500, 502, 503, 504, 529}) {
    server_.answer(failure(status));
    server_.answer(http(200, "answer: hi\n"));
    const ChatResponse response = provider().chat(plain_request()).get();
    EXPECT_EQ(response.text(), "hi") << status;
    EXPECT_EQ(response.attempts, 2) << status;
  }
}

TEST_F(RetryTest, StatusesThatDoNot) {
  for (const int status : {400, 401, 403, 404, 413, 422}) {
    const size_t before = asked();
    server_.answer(failure(status));
    const ErrorDetails error = error_of([&] { provider().chat(plain_request()).get(); });
    EXPECT_EQ(error.http_status, status);
    EXPECT_EQ(error.attempts, 1);
    EXPECT_EQ(asked(), before + 1) << status;
  }
}

TEST_F(RetryTest, PausesAreDrawnAndGrow) {
  server_.answer(failure(500));
  const ErrorDetails error =
      error_of([&] { provider({.max_retries = 4}).chat(plain_request()).get(); });
  EXPECT_EQ(error.kind, ErrorKind::server_error);
  EXPECT_EQ(error.attempts, 5);
  EXPECT_EQ(asked(), 5u);
  Chance chance(17);
  std::vector<double> expected;
  for (int i = 0; i < 4; ++i) expected.push_back(backoff(i, chance.draw()));
  EXPECT_EQ(time_->pauses(), expected);
}

TEST_F(RetryTest, ThePauseThatTheServerAsksFor) {
  server_.answer(failure(429, "retry-after: 1.5\r\n"));
  server_.answer(failure(429, "retry-after-ms: 20\r\nretry-after: 9\r\n"));
  server_.answer(http(200, "answer: hi\n"));
  EXPECT_EQ(provider().chat(plain_request()).get().attempts, 3);
  EXPECT_EQ(time_->pauses(), (std::vector<double>{1.5, 0.02}));
}

TEST_F(RetryTest, ThePauseThatTheBodyAsksFor) {
  server_.answer(failure(429, {}, "retry: 34.4\n"));
  server_.answer(http(200, "answer: hi\n"));
  EXPECT_EQ(provider().chat(plain_request()).get().attempts, 2);
  EXPECT_EQ(time_->pauses(), (std::vector<double>{34.4}));
}

TEST_F(RetryTest, APauseThatIsTooLongIsTheError) {
  for (const char* pause : {"61", "86400"}) {
    server_.answer(failure(429, "retry-after: " + std::string(pause) + "\r\n"));
    const ErrorDetails error = error_of([&] { provider().chat(plain_request()).get(); });
    EXPECT_EQ(error.kind, ErrorKind::rate_limited);
    EXPECT_EQ(error.retry_after, std::stod(pause));
    EXPECT_EQ(error.attempts, 1);
  }
  EXPECT_TRUE(time_->pauses().empty());
}

TEST_F(RetryTest, WithoutMoneyNothingIsTriedAgain) {
  server_.answer(failure(429, "retry-after: 1\r\nx-should-retry: true\r\n", "code: quota\n"));
  const ErrorDetails error = error_of([&] { provider().chat(plain_request()).get(); });
  EXPECT_EQ(error.kind, ErrorKind::quota_exhausted);
  EXPECT_EQ(error.vendor_code, "quota");
  EXPECT_EQ(asked(), 1u);
}

TEST_F(RetryTest, WhatTheServerSaysOfRetries) {
  server_.answer(failure(500, "x-should-retry: false\r\n"));
  EXPECT_EQ(error_of([&] { provider().chat(plain_request()).get(); }).attempts, 1);
  server_.answer(failure(400, "x-should-retry: true\r\n"));
  server_.answer(http(200, "answer: hi\n"));
  EXPECT_EQ(provider().chat(plain_request()).get().attempts, 2);
}

TEST_F(RetryTest, RetryAfterOfAGoodAnswerMeansNothing) {
  server_.answer(http(200, "answer: hi\n", "retry-after: 30\r\n"));
  EXPECT_EQ(provider().chat(plain_request()).get().attempts, 1);
  EXPECT_TRUE(time_->pauses().empty());
}

TEST_F(RetryTest, NoPauseGoesBeyondTheDeadline) {
  server_.answer(failure(429, "retry-after: 5\r\n"));
  ChatRequest request = plain_request();
  request.deadline = 3;
  const ErrorDetails error = error_of([&] { provider().chat(request).get(); });
  EXPECT_EQ(error.kind, ErrorKind::rate_limited) << "the reason, not the deadline";
  EXPECT_EQ(error.attempts, 1);
  EXPECT_TRUE(time_->pauses().empty());
}

TEST_F(RetryTest, ADeadlineThatIsNone) {
  ChatRequest request = plain_request();
  for (const double deadline : {0.0, -1.0, std::nan("")}) {
    request.deadline = deadline;
    const ErrorDetails error = error_of([&] { provider().chat(request).get(); });
    EXPECT_EQ(error.kind, ErrorKind::invalid_request);
    EXPECT_EQ(error.param, "deadline");
  }
}

TEST_F(RetryTest, BrokenAnswersOnceMoreOnly) {
  server_.answer(http(200, "nonsense\n"));
  const ErrorDetails error =
      error_of([&] { provider({.max_retries = 5}).chat(plain_request()).get(); });
  EXPECT_EQ(error.kind, ErrorKind::malformed_response);
  EXPECT_EQ(error.attempts, 2);
}

TEST_F(RetryTest, NoRetriesWhereTheCallerWantsNone) {
  server_.answer(failure(500));
  EXPECT_EQ(error_of([&] { provider({.max_retries = 0}).chat(plain_request()).get(); }).attempts,
            1);
}

TEST_F(RetryTest, AnOutageIsNotMultiplied) {
  server_.answer(failure(500));
  const Provider plain = provider();
  for (int i = 0; i < 20; ++i) error_of([&] { plain.chat(plain_request()).get(); });
  const ClientStatistics statistics = client_->statistics();
  EXPECT_EQ(statistics.calls, 20);
  EXPECT_EQ(statistics.failed, 20);
  // Five, and one for every ten: the first three calls have used up five of them.
  EXPECT_EQ(statistics.retries, 7);
  EXPECT_EQ(asked(), 27u);
}

TEST_F(RetryTest, AStreamBeforeItsFirstEvent) {
  server_.answer(failure(503));
  server_.answer(Script{send(http_open(200)), close()});
  server_.answer(http_chunked(200, {events({"hi", "[end]"})}));
  const ChatStream stream = provider().stream(plain_request());
  EXPECT_EQ(listen_to(stream).text, "hi");
  EXPECT_EQ(stream.response().attempts, 3);
}

TEST_F(RetryTest, AStreamIsNeverRepeated) {
  server_.answer(Script{send(http_open(200) + events({"one"})), close()});
  const ChatStream stream = provider().stream(plain_request());
  const Heard heard = listen_to(stream);
  EXPECT_EQ(heard.text, "one");
  ASSERT_TRUE(heard.error);
  EXPECT_EQ(heard.error->kind, ErrorKind::truncated_stream);
  EXPECT_TRUE(heard.error->partial_output);
  EXPECT_EQ(asked(), 1u);
  EXPECT_EQ(stream.response().text(), "one") << "what came is kept";
  EXPECT_TRUE(stream.response().usage.partial);
}

}  // namespace
}  // namespace taut::ai::test
