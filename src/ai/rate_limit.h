#pragma once
// Requests and tokens a minute: what the caller allows, and what the provider says is left. Used by
// one thread.

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "src/ai/http.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

/// Fills at a steady rate. Something that is larger than the whole bucket is let through when it is
/// full, and paid off afterwards.
class TAUT_API TokenBucket {
 public:
  TokenBucket(double level, double capacity, double per_second, double now)
      : level_(level), capacity_(capacity), per_second_(per_second), time_(now) {}

  /// Seconds until `amount` may be taken; 0: now.
  double wait(double amount, double now) const;
  void take(double amount, double now);

 private:
  double level_at(double now) const;

  double level_, capacity_, per_second_, time_;
};

/// Of one provider.
class TAUT_API RateLimits {
 public:
  RateLimits(const ProviderConfig& config, double now);

  /// Seconds until a request of so many tokens may go; 0: now. What the provider says is not waited
  /// for longer than `most`: it may tell itself when the time comes.
  double wait(const std::string& model, double tokens, double now, double most) const;
  void take(const std::string& model, double tokens, double now);
  /// What a request of `estimate` tokens has really cost.
  void settle(double estimate, double used, double now);
  /// Reads the x-ratelimit-* and anthropic-ratelimit-* headers of an answer.
  void learn(const std::string& model, const HttpAnswer& answer, double now, double wall_time);

 private:
  struct Learned {
    std::optional<TokenBucket> requests, tokens;
  };

  std::optional<TokenBucket> requests_, tokens_;
  std::map<std::string, Learned> learned_;  // by model: providers count each for itself
};

/// Seconds in a duration as Go writes it (6m0s, 12ms, 1h2m3.5s) or in bare seconds; nothing for
/// what is none.
TAUT_API std::optional<double> parse_duration(std::string_view text);

}  // namespace taut::ai
