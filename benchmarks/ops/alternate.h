#pragma once
// Two kernels measured by turns in one benchmark, so that a busy machine slows both alike. The best
// time of each counts; the counter `ratio` is the speed of the first over that of the second.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <limits>

namespace taut::bench {

inline double seconds_of(auto&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Runs `ours` and `theirs` by turns. `amount` is what each moves or computes, in bytes or in
/// operations; `unit` names the counters.
void alternate(benchmark::State& state, double amount, const char* unit, auto&& ours,
               auto&& theirs) {
  double best_ours = std::numeric_limits<double>::infinity();
  double best_theirs = best_ours;
  ours();
  theirs();
  for (auto _ : state) {
    const double elapsed = seconds_of(ours);
    best_ours = std::min(best_ours, elapsed);
    best_theirs = std::min(best_theirs, seconds_of(theirs));
    state.SetIterationTime(elapsed);
  }
  state.counters[unit] = amount / best_ours / 1e9;
  state.counters["peer"] = amount / best_theirs / 1e9;
  state.counters["ratio"] = best_theirs / best_ours;
}

}  // namespace taut::bench
