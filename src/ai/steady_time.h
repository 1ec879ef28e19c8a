#pragma once
// The clock that the system's own waits go by, whichever a client is given.

#include <chrono>

namespace taut::ai {

/// Seconds that never go back.
inline double steady_time() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace taut::ai
