#pragma once
// A circuit breaker: it keeps calls away from what fails, and lets one through now and then to see
// whether it has come back. It knows no clock: whoever asks tells the time, in seconds.

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "taut/ai/error.h"

namespace taut::ai {

struct BreakerOptions {
  double first_pause = 5;  // how long it stays open, doubled each time in a row
  double max_pause = 300;
  double long_pause = 3600;  // where waiting alone does not help: keys, quotas, models
  double window = 60;        // of what failures are a share
  int min_samples = 5;
  double failure_ratio = 0.5;  // more than that opens it
  int consecutive_failures = 5;
};

class TAUT_API CircuitBreaker {
 public:
  enum class State : uint8_t { closed, open, half_open };

  /// Leave for one call, to be given back with its outcome.
  struct Ticket {
    uint64_t generation = 0;
    bool is_probe = false;
  };

  explicit CircuitBreaker(BreakerOptions options = {}) : options_(options) {}

  State state(double now) const;
  /// Seconds until a probe is let through; 0 where calls are.
  double seconds_until_probe(double now) const;

  /// Whether acquire() would give a ticket.
  bool would_admit(double now) const;
  /// Nothing where the call must not be made.
  std::optional<Ticket> acquire(double now);
  /// Leave although the circuit is open: a probe out of turn.
  Ticket acquire_anyway(double now);

  void succeeded(Ticket ticket, double now);
  void failed(Ticket ticket, double now, ErrorKind kind, std::optional<double> retry_after);
  /// The call ended without telling anything of the target.
  void released(Ticket ticket);
  /// Opens it for what another call learnt of the same server.
  void open(double now, double pause);
  /// Closes it, whatever happened.
  void reset();

 private:
  void open_with_backoff(double now, std::optional<double> at_least);
  bool is_current(Ticket ticket) const { return ticket.generation == generation_; }
  void forget_old_samples(double now);

  BreakerOptions options_;
  bool is_open_ = false;
  bool has_probe_ = false;
  double open_until_ = 0;
  int openings_in_row_ = 0;
  int failures_in_row_ = 0;
  // Calls of an older generation began before the circuit last changed, and say nothing of it.
  uint64_t generation_ = 0;
  std::deque<std::pair<double, bool>> samples_;  // when, and whether it failed
  int failures_ = 0;                             // among the samples
};

/// Whether a failure of this kind speaks against the target, and not against the request.
TAUT_API bool counts_against_target(ErrorKind kind);

}  // namespace taut::ai
