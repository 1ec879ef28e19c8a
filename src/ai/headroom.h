#pragma once
// How many requests and tokens a target will still take: by limits of the user's own, and by what
// the target's answers say is left.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taut/ai/response.h"

namespace taut::ai {

/// A bucket that fills at a steady rate and holds a minute's worth.
class TAUT_API MinuteBucket {
 public:
  explicit MinuteBucket(std::optional<double> per_minute) : per_minute_(per_minute) {}
  /// Seconds until so much is there; 0 where it is, or where nothing limits. What is more than a
  /// minute's worth is let through by a full bucket.
  double seconds_until(double now, double amount);
  void take(double now, double amount);

 private:
  void fill(double now);

  std::optional<double> per_minute_;
  std::optional<double> filled_at_;
  double level_ = 0;
};

class TAUT_API Headroom {
 public:
  Headroom(std::optional<double> requests_per_minute, std::optional<double> tokens_per_minute)
      : requests_(requests_per_minute), tokens_(tokens_per_minute) {}

  /// Seconds until the target takes such a request; 0: now.
  double seconds_until(double now, int64_t tokens);
  void take(double now, int64_t tokens);
  /// What the headers of an answer say: x-ratelimit-* and anthropic-ratelimit-*.
  void learn(double now, const std::vector<Header>& headers);

 private:
  struct Remaining {
    double amount = 0;
    double until = 0;  // when it is full again
  };
  static double wait_for(const std::optional<Remaining>& remaining, double now, double amount);

  MinuteBucket requests_;
  MinuteBucket tokens_;
  std::optional<Remaining> requests_left_;
  std::optional<Remaining> tokens_left_;
};

/// Seconds of a duration like 12ms, 1s or 6m0s, or of a plain number; nothing for other text.
TAUT_API std::optional<double> duration_of(std::string_view text);
/// Seconds from now until a time like 2026-11-29T06:00:00Z, not below 0; nothing for other text.
TAUT_API std::optional<double> seconds_until_time(std::string_view text, double seconds_since_1970);

}  // namespace taut::ai
