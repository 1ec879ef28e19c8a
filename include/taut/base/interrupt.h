#pragma once
// Stopping long calls. What may hold a thread for long (backward, waiting for a batch) asks now and
// then whether to go on:
//   set_interrupt_check([] { if (stop_was_asked_for) throw Stopped(); });

#include "taut/base/macros.h"

namespace taut {

using InterruptCheck = void (*)();

/// From now on `check` runs now and then inside long calls, on the thread that made them, and what
/// it throws ends the call. It should be quick: backward runs it before every node. Null: no check.
TAUT_API void set_interrupt_check(InterruptCheck check);

/// Runs the check, if there is one.
TAUT_API void check_interrupt();

}  // namespace taut
