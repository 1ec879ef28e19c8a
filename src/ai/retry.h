#pragma once
// Whether a failed attempt is made again, and after how long.

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "src/ai/http.h"
#include "src/ai/time_source.h"
#include "taut/ai/error.h"

namespace taut::ai {

/// What the headers of an answer say of the pause to make, in seconds: retry-after-ms, then
/// retry-after as seconds or as a date. Nothing for what is negative, not finite or no number.
TAUT_API std::optional<double> retry_after_of(const HttpAnswer& answer, double wall_time);

/// x-should-retry, where the answer has it.
TAUT_API std::optional<bool> should_retry_of(const HttpAnswer& answer);

/// U[0.5, 1] min(0.5 2^retries, 8): the pause before another attempt, in seconds.
TAUT_API double backoff(int retries, double draw);

/// How often what failed like this is tried again, given that nothing has reached the caller.
TAUT_API int most_retries(ErrorKind kind, int max_retries);

/// Keeps an outage from being multiplied: over a minute, one retry for ten requests, and five.
class TAUT_API RetryBudget {
 public:
  void count_request(double now);
  /// Takes one retry, where one is left.
  bool take(double now);

 private:
  void forget(double now);

  std::deque<double> requests_, retries_;  // when they were, the oldest first
};

}  // namespace taut::ai
