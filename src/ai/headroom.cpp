#include "src/ai/headroom.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

namespace taut::ai {
namespace {

constexpr double kMinute = 60;

std::string_view header(const std::vector<Header>& headers, std::string_view name) {
  for (const Header& entry : headers) {
    if (entry.first == name) return entry.second;
  }
  return {};
}

std::optional<double> number_of(std::string_view& text) {
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || !std::isfinite(value)) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(result.ptr - text.data()));
  return value;
}

std::optional<int> digits(std::string_view text, size_t at, size_t count) {
  if (text.size() < at + count) return std::nullopt;
  int value = 0;
  for (char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::optional<double> duration_of(std::string_view text) {
  double seconds = 0;
  bool is_first = true;
  while (!text.empty()) {
    const std::optional<double> value = number_of(text);
    if (!value || *value < 0) return std::nullopt;
    if (text.empty() && is_first) return value;
    is_first = false;
    if (text.starts_with("ms")) {
      seconds += *value / 1000;
      text.remove_prefix(2);
    } else if (text.starts_with("h")) {
      seconds += *value * 3600;
      text.remove_prefix(1);
    } else if (text.starts_with("m")) {
      seconds += *value * 60;
      text.remove_prefix(1);
    } else if (text.starts_with("s")) {
      seconds += *value;
      text.remove_prefix(1);
    } else {
      return std::nullopt;
    }
  }
  if (is_first) return std::nullopt;
  return seconds;
}

// RFC 3339, section 5.6: date "T" time, and Z or an offset.
std::optional<double> seconds_until_time(std::string_view text, double now) {
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::string_view rest = text.substr(19);
  if (rest.starts_with('.')) {
    const size_t end = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
    rest.remove_prefix(end);
  }
  double offset = 0;
  if (rest.starts_with('+') || rest.starts_with('-')) {
    const auto hours = digits(rest, 1, 2), minutes = digits(rest, 4, 2);
    if (!hours || !minutes) return std::nullopt;
    offset = (*hours * 60.0 + *minutes) * 60.0 * (rest.front() == '+' ? 1 : -1);
  } else if (rest != "Z" && rest != "z") {
    return std::nullopt;
  }
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  const double time =
      static_cast<double>(days) * 86400.0 + *hour * 3600.0 + *minute * 60.0 + *second - offset;
  return std::max(time - now, 0.0);
}

double MinuteBucket::seconds_until(double now, double amount) {
  if (!per_minute_) return 0;
  fill(now);
  const double wanted = std::min(amount, *per_minute_);
  if (level_ >= wanted) return 0;
  if (*per_minute_ <= 0) return kMinute;
  return (wanted - level_) / *per_minute_ * kMinute;
}

void MinuteBucket::take(double now, double amount) {
  if (!per_minute_) return;
  fill(now);
  level_ -= amount;
}

void MinuteBucket::fill(double now) {
  if (!filled_at_) {
    level_ = *per_minute_;
  } else {
    level_ = std::min(level_ + (now - *filled_at_) / kMinute * *per_minute_, *per_minute_);
  }
  filled_at_ = now;
}

double Headroom::wait_for(const std::optional<Remaining>& remaining, double now, double amount) {
  if (!remaining || now >= remaining->until || remaining->amount >= amount) return 0;
  return remaining->until - now;
}

double Headroom::seconds_until(double now, int64_t tokens) {
  const auto amount = static_cast<double>(tokens);
  // A request that is larger than what is ever left would wait for ever: one token is enough then.
  return std::max({requests_.seconds_until(now, 1), tokens_.seconds_until(now, amount),
                   wait_for(requests_left_, now, 1), wait_for(tokens_left_, now, 1)});
}

void Headroom::take(double now, int64_t tokens) {
  requests_.take(now, 1);
  tokens_.take(now, static_cast<double>(tokens));
  if (requests_left_) requests_left_->amount -= 1;
  if (tokens_left_) tokens_left_->amount -= static_cast<double>(tokens);
}

void Headroom::learn(double now, const std::vector<Header>& headers) {
  const double today = seconds_since_1970();
  const auto read = [&](const std::string& prefix, const std::string& what,
                        bool is_anthropic) -> std::optional<Remaining> {
    const std::string remaining_name =
        prefix + (is_anthropic ? what + "-remaining" : "remaining-" + what);
    const std::string reset_name = prefix + (is_anthropic ? what + "-reset" : "reset-" + what);
    std::string_view remaining = header(headers, remaining_name);
    const std::string_view reset = header(headers, reset_name);
    const std::optional<double> amount = number_of(remaining);
    // Proxies send -1 for what they do not know.
    if (!amount || *amount < 0 || !remaining.empty()) return std::nullopt;
    const std::optional<double> wait =
        is_anthropic ? seconds_until_time(reset, today) : duration_of(reset);
    if (!wait) return std::nullopt;
    return Remaining{*amount, now + *wait};
  };
  for (const bool is_anthropic : {false, true}) {
    const std::string prefix = is_anthropic ? "anthropic-ratelimit-" : "x-ratelimit-";
    if (const auto left = read(prefix, "requests", is_anthropic)) requests_left_ = left;
    if (const auto left = read(prefix, "tokens", is_anthropic)) tokens_left_ = left;
  }
}

}  // namespace taut::ai
