#include "src/ai/breaker.h"

#include <algorithm>
#include <cmath>

namespace taut::ai {

bool counts_against_target(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_request:
    case ErrorKind::unsupported_parameter:
    case ErrorKind::context_length:
    case ErrorKind::content_policy:
    case ErrorKind::request_too_large:
    case ErrorKind::cancelled:
    case ErrorKind::budget_exceeded:
    case ErrorKind::no_healthy_provider:
    case ErrorKind::timeout_total: return false;
    default: return true;
  }
}

CircuitBreaker::State CircuitBreaker::state(double now) const {
  if (!is_open_) return State::closed;
  return now < open_until_ ? State::open : State::half_open;
}

double CircuitBreaker::seconds_until_probe(double now) const {
  return is_open_ ? std::max(open_until_ - now, 0.0) : 0.0;
}

bool CircuitBreaker::would_admit(double now) const {
  switch (state(now)) {
    case State::closed: return true;
    case State::open: return false;
    case State::half_open: break;
  }
  return !has_probe_;
}

std::optional<CircuitBreaker::Ticket> CircuitBreaker::acquire(double now) {
  if (!would_admit(now)) return std::nullopt;
  has_probe_ = is_open_;
  return Ticket{generation_, is_open_};
}

CircuitBreaker::Ticket CircuitBreaker::acquire_anyway(double now) {
  if (const std::optional<Ticket> ticket = acquire(now)) return *ticket;
  return Ticket{generation_, true};
}

void CircuitBreaker::succeeded(Ticket ticket, double now) {
  if (!is_current(ticket)) return;
  if (ticket.is_probe) {
    reset();
    return;
  }
  failures_in_row_ = 0;
  samples_.emplace_back(now, false);
  forget_old_samples(now);
}

void CircuitBreaker::failed(Ticket ticket, double now, ErrorKind kind,
                            std::optional<double> retry_after) {
  if (!counts_against_target(kind)) {
    released(ticket);
    return;
  }
  if (!is_current(ticket)) return;
  switch (kind) {
    case ErrorKind::quota_exhausted:
    case ErrorKind::auth:
    case ErrorKind::permission:
    case ErrorKind::not_found:
      open(now, std::max(options_.long_pause, retry_after.value_or(0)));
      return;
    case ErrorKind::rate_limited:
    case ErrorKind::tls_verify: open_with_backoff(now, retry_after); return;
    default: break;
  }
  if (ticket.is_probe) {
    open_with_backoff(now, retry_after);
    return;
  }
  ++failures_in_row_;
  ++failures_;
  samples_.emplace_back(now, true);
  forget_old_samples(now);
  const auto samples = static_cast<double>(samples_.size());
  const bool fails_often = static_cast<int>(samples_.size()) >= options_.min_samples &&
                           failures_ > options_.failure_ratio * samples;
  if (failures_in_row_ >= options_.consecutive_failures || fails_often) {
    open_with_backoff(now, retry_after);
  }
}

void CircuitBreaker::released(Ticket ticket) {
  if (ticket.is_probe && is_current(ticket)) has_probe_ = false;
}

void CircuitBreaker::open_with_backoff(double now, std::optional<double> at_least) {
  const double doubled = options_.first_pause * std::exp2(std::min(openings_in_row_, 30));
  const int openings = openings_in_row_ + 1;
  open(now, std::max(std::min(doubled, options_.max_pause), at_least.value_or(0)));
  openings_in_row_ = openings;
}

void CircuitBreaker::open(double now, double pause) {
  is_open_ = true;
  has_probe_ = false;
  open_until_ = now + pause;
  failures_in_row_ = 0;
  samples_.clear();
  failures_ = 0;
  ++generation_;
}

void CircuitBreaker::reset() {
  is_open_ = false;
  has_probe_ = false;
  openings_in_row_ = 0;
  failures_in_row_ = 0;
  samples_.clear();
  failures_ = 0;
  ++generation_;
}

void CircuitBreaker::forget_old_samples(double now) {
  while (!samples_.empty() && samples_.front().first <= now - options_.window) {
    if (samples_.front().second) --failures_;
    samples_.pop_front();
  }
}

}  // namespace taut::ai
