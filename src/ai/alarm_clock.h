#pragma once
// The time, and what is to be done when some of it has passed. Tests have a clock of their own.

#include <cstdint>
#include <memory>

#include "taut/base/callback.h"
#include "taut/base/macros.h"

namespace taut::ai {

class TAUT_API AlarmClock {
 public:
  virtual ~AlarmClock();
  /// Seconds since some moment.
  virtual double now() const = 0;
  /// Runs `task` once, after so many seconds, on a thread of the clock. The number calls it off.
  virtual uint64_t after(double seconds, Callback<void()> task) = 0;
  /// Whoever runs it now goes on.
  virtual void forget(uint64_t number) = 0;
};

/// The steady clock of the system. Its thread starts with the first alarm; what is still to be done
/// when the clock goes is dropped.
TAUT_API std::shared_ptr<AlarmClock> system_alarm_clock();

}  // namespace taut::ai
