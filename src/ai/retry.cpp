#include "src/ai/retry.h"

#include <charconv>
#include <cmath>

namespace taut::ai {

namespace {

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(value) || value < 0) return std::nullopt;
  return value;
}

}  // namespace

std::optional<double> retry_after_of(const HttpAnswer& answer, double wall_time) {
  if (const auto milliseconds = number(answer.header("retry-after-ms")))
    return *milliseconds / 1000;
  const std::string_view text = answer.header("retry-after");
  if (const auto seconds = number(text)) return seconds;
  const double pause = parse_date(text) - wall_time;
  if (!std::isfinite(pause) || pause < 0) return std::nullopt;
  return pause;
}

std::optional<bool> should_retry_of(const HttpAnswer& answer) {
  const std::string_view text = answer.header("x-should-retry");
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

double backoff(int retries, double draw) {
  constexpr double kFirst = 0.5, kMost = 8;  // seconds
  const double full = std::fmin(std::ldexp(kFirst, retries), kMost);
  return full * (0.5 + 0.5 * draw);
}

int most_retries(ErrorKind kind, int max_retries) {
  switch (kind) {
    case ErrorKind::connection:
    case ErrorKind::timeout_idle:
    case ErrorKind::truncated_stream:
    case ErrorKind::stream_error:
    case ErrorKind::rate_limited:
    case ErrorKind::overloaded:
    case ErrorKind::server_error: return max_retries;
    // These cost the whole time-out again, or show the same broken answer again.
    case ErrorKind::timeout_connect:
    case ErrorKind::timeout_first_byte:
    case ErrorKind::malformed_response: return max_retries < 1 ? max_retries : 1;
    default: return 0;
  }
}

void RetryBudget::forget(double now) {
  constexpr double kWindow = 60;  // seconds
  for (std::deque<double>* times : {&requests_, &retries_}) {
    while (!times->empty() && times->front() <= now - kWindow) times->pop_front();
  }
}

void RetryBudget::count_request(double now) {
  forget(now);
  requests_.push_back(now);
}

bool RetryBudget::take(double now) {
  constexpr size_t kFloor = 5, kRequestsPerRetry = 10;
  forget(now);
  if (retries_.size() >= kFloor + requests_.size() / kRequestsPerRetry) return false;
  retries_.push_back(now);
  return true;
}

}  // namespace taut::ai
