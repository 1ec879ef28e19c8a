#pragma once
// A thread that compiles while the program goes on.

#include <functional>

namespace taut::fusion {

/// Runs `work` after what was given before, on a thread of its own, which is started at the first
/// call and joined when the process ends: then what has not begun is dropped. `work` must not
/// throw. A process that was forked starts its own thread.
void run_in_background(std::function<void()> work);

}  // namespace taut::fusion
