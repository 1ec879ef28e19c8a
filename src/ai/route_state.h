#pragma once
// What a router keeps of its targets, and how it chooses among them.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "src/ai/alarm_clock.h"
#include "src/ai/breaker.h"
#include "src/ai/headroom.h"
#include "src/ai/needs.h"
#include "taut/ai/router.h"

namespace taut::ai {

/// Why a target is not asked.
enum class LeftOutFor : uint8_t {
  disabled,
  key,
  task,
  feature,
  window,
  circuit,
  budget,
  rate,
  concurrency,
};

struct LeftOut {
  size_t target = 0;
  LeftOutFor cause = LeftOutFor::disabled;
  std::string reason;
  double seconds = 0;  // until it may be asked, where that is known
};

/// What one call asks of the router, and what it learnt on its way.
struct RouteQuery {
  Needs needs;
  std::string task;
  std::string model;
  Callback<CostEstimate(const Target&)> estimate;
  std::vector<bool> tried;              // by target
  std::optional<int64_t> window_above;  // only targets that see more tokens than so many
  bool wants_certainty = false;         // only targets that surely have the features
};

/// A target that is asked, and what was set aside for the call.
struct Choice {
  size_t target = 0;
  CircuitBreaker::Ticket ticket;
  CostEstimate estimate;
  Budget::Reservation reservation;
  bool is_probe = false;
};

struct TargetState {
  Target target;
  CircuitBreaker breaker;
  Headroom headroom;
  int in_flight = 0;
  int64_t calls = 0, failures = 0;
  std::optional<double> latency;
};

struct TAUT_API Router::State : std::enable_shared_from_this<Router::State> {
  RouterOptions options;
  BreakerOptions breaker_options;
  std::shared_ptr<AlarmClock> clock;

  mutable std::mutex mutex;
  std::vector<TargetState> targets;  // their number and `target` never change
  uint64_t random_state = 0;
  RouteReport last_report;

  /// Checks and completes what the user gave.
  static std::shared_ptr<State> create(std::vector<Target> targets, RouterOptions options,
                                       std::shared_ptr<AlarmClock> clock,
                                       BreakerOptions breaker_options = {});

  /// Nothing where no target is left; `left_out` tells why each was not taken. What may pass, like
  /// a circuit, is ignored for the target that is ready first where `is_desperate`.
  std::optional<Choice> choose(const RouteQuery& query, bool is_desperate,
                               std::vector<LeftOut>& left_out);

  void succeeded(const Choice& choice, double seconds, const std::vector<Header>& headers);
  void failed(const Choice& choice, const ErrorDetails& details);
  void called_off(const Choice& choice);

  void keep(const RouteReport& report);

 private:
  std::optional<LeftOut> unfit(size_t index, const RouteQuery& query) const;
  std::optional<LeftOut> busy(size_t index, const CostEstimate& estimate, double now);
  size_t pick(const std::vector<size_t>& candidates, const std::vector<CostEstimate>& estimates);
  size_t draw_by_weight(const std::vector<size_t>& candidates);
  double next_random();
};

/// The router over a state that a test has made.
TAUT_API std::shared_ptr<Router> make_router(std::shared_ptr<Router::State> state);

}  // namespace taut::ai
