#pragma once
// How long a call on the GPU takes.

#include <algorithm>
#include <chrono>
#include <functional>

#include "taut/core/cuda.h"

/// Seconds of one call: many are queued one after the other; the best of several turns.
inline double seconds_of(const std::function<void()>& run, int calls, int turns = 3) {
  for (int i = 0; i < 3; ++i) run();
  taut::cuda::synchronize();
  double best = 1e9;
  for (int turn = 0; turn < turns; ++turn) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) run();
    taut::cuda::synchronize();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::min(best, elapsed.count() / calls);
  }
  return best;
}
