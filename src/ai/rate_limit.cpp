#include "src/ai/rate_limit.h"

#include <charconv>
#include <cmath>

#include "src/ai/time_source.h"

namespace taut::ai {

namespace {

std::optional<double> leading_number(std::string_view& text) {
  double value = 0;
  const auto result =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (result.ec != std::errc() || !std::isfinite(value) || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(result.ptr - text.data()));
  return value;
}

std::optional<double> count(std::string_view text) {
  const std::optional<double> value = leading_number(text);
  return text.empty() ? value : std::nullopt;
}

/// A bucket of the caller's own: a second's worth at once, so that no minute sees much more than
/// allowed.
TokenBucket bucket_of(double per_minute, double now) {
  const double per_second = per_minute / 60;
  const double capacity = std::fmax(per_second, 1);
  return {capacity, capacity, per_second, now};
}

/// The seconds until a limit is as it was: a duration or a date.
std::optional<double> reset_of(std::string_view text, double wall_time) {
  if (const auto seconds = parse_duration(text)) return seconds;
  const double seconds = parse_date(text) - wall_time;
  if (!std::isfinite(seconds) || seconds < 0) return std::nullopt;
  return seconds;
}

struct HeaderNames {
  std::string_view limit, remaining, reset;
};
constexpr HeaderNames kRequestHeaders[] = {
    {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"},
    {"anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining",
     "anthropic-ratelimit-requests-reset"},
};
constexpr HeaderNames kTokenHeaders[] = {
    {"x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"},
    {"anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining",
     "anthropic-ratelimit-tokens-reset"},
};

/// Both vendors say when the limit will be whole again: it fills evenly until then.
std::optional<TokenBucket> learn_bucket(const HttpAnswer& answer, const HeaderNames& names,
                                        double now, double wall_time) {
  const auto limit = count(answer.header(names.limit));
  const auto remaining = count(answer.header(names.remaining));
  const auto reset = reset_of(answer.header(names.reset), wall_time);
  if (!limit || !remaining || !reset) return std::nullopt;
  if (*limit <= 0 || *remaining >= *limit || *reset <= 0) return std::nullopt;
  return TokenBucket(*remaining, *limit, (*limit - *remaining) / *reset, now);
}

template <size_t n>
void learn_any(std::optional<TokenBucket>& bucket, const HttpAnswer& answer,
               const HeaderNames (&names)[n], double now, double wall_time) {
  for (const HeaderNames& these : names) {
    if (!answer.header(these.remaining).empty()) {
      bucket = learn_bucket(answer, these, now, wall_time);
    }
  }
}

double wait_of(const std::optional<TokenBucket>& bucket, double amount, double now) {
  return bucket ? bucket->wait(amount, now) : 0;
}

}  // namespace

double TokenBucket::level_at(double now) const {
  return std::fmin(capacity_, level_ + (now - time_) * per_second_);
}

double TokenBucket::wait(double amount, double now) const {
  const double missing = std::fmin(amount, capacity_) - level_at(now);
  return missing <= 0 ? 0 : missing / per_second_;
}

void TokenBucket::take(double amount, double now) {
  level_ = std::fmin(capacity_, level_at(now) - amount);
  time_ = now;
}

RateLimits::RateLimits(const ProviderConfig& config, double now) {
  if (config.requests_per_minute) requests_ = bucket_of(*config.requests_per_minute, now);
  if (config.tokens_per_minute) tokens_ = bucket_of(*config.tokens_per_minute, now);
}

double RateLimits::wait(const std::string& model, double tokens, double now, double most) const {
  double seconds = std::fmax(wait_of(requests_, 1, now), wait_of(tokens_, tokens, now));
  const auto learned = learned_.find(model);
  if (learned != learned_.end()) {
    const double told = std::fmax(wait_of(learned->second.requests, 1, now),
                                  wait_of(learned->second.tokens, tokens, now));
    if (told <= most) seconds = std::fmax(seconds, told);
  }
  return seconds;
}

void RateLimits::take(const std::string& model, double tokens, double now) {
  if (requests_) requests_->take(1, now);
  if (tokens_) tokens_->take(tokens, now);
  const auto learned = learned_.find(model);
  if (learned == learned_.end()) return;
  if (learned->second.requests) learned->second.requests->take(1, now);
  if (learned->second.tokens) learned->second.tokens->take(tokens, now);
}

void RateLimits::settle(double estimate, double used, double now) {
  if (tokens_) tokens_->take(used - estimate, now);
}

void RateLimits::learn(const std::string& model, const HttpAnswer& answer, double now,
                       double wall_time) {
  std::optional<TokenBucket> requests, tokens;
  learn_any(requests, answer, kRequestHeaders, now, wall_time);
  learn_any(tokens, answer, kTokenHeaders, now, wall_time);
  if (!requests && !tokens) return;
  Learned& learned = learned_[model];
  learned.requests = requests;
  learned.tokens = tokens;
}

std::optional<double> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double seconds = 0;
  while (!text.empty()) {
    const auto value = leading_number(text);
    if (!value) return std::nullopt;
    if (text.starts_with("ms")) {
      seconds += *value / 1000;
      text.remove_prefix(2);
    } else if (text.starts_with('h')) {
      seconds += *value * 3600;
      text.remove_prefix(1);
    } else if (text.starts_with('m')) {
      seconds += *value * 60;
      text.remove_prefix(1);
    } else if (text.starts_with('s')) {
      seconds += *value;
      text.remove_prefix(1);
    } else if (text.starts_with("us") || text.starts_with("\xc2\xb5s")) {
      seconds += *value / 1e6;
      text.remove_prefix(text.find('s') + 1);
    } else if (text.empty() && seconds == 0) {
      return value;  // a number alone is in seconds
    } else {
      return std::nullopt;
    }
  }
  return seconds;
}

}  // namespace taut::ai
