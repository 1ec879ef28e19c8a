#pragma once
// How a router came to its answer: whom it considered, and what became of each.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "taut/ai/error.h"

namespace taut::ai {

struct RouteStep {
  enum class Outcome : uint8_t {
    left_out,  // not asked: `reason` says why
    answered,
    failed,      // asked in vain: `error` and `reason`
    called_off,  // another one was faster, or the caller lost interest
  };
  std::string target;
  std::string model;
  Outcome outcome = Outcome::left_out;
  std::string reason;
  std::optional<ErrorKind> error;
  double started = 0;          // seconds after the call began
  double seconds = 0;          // until its end
  std::optional<double> cost;  // US dollars
  bool is_hedge = false;       // asked while another one was still thinking
  bool is_probe = false;       // asked to see whether it has come back
};

struct RouteReport {
  std::string router;
  std::string task;
  std::vector<RouteStep> steps;  // in the order in which they ended
  std::string answered_by;       // a target's name; empty where nobody answered
  bool from_cache = false;
  bool is_degraded = false;  // answered by the cache or the last resort: no target could
  double seconds = 0;
  std::optional<double> cost;  // of all steps whose cost is known
};

/// As JSON text.
TAUT_API std::string to_json(const RouteReport& report);
/// As lines for a person.
TAUT_API std::string describe(const RouteReport& report);

}  // namespace taut::ai
