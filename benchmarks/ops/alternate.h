#pragma once
// Two kernels measured by turns in one benchmark, so that a busy machine slows both alike. The best
// time of each counts; the counter `ratio` is the speed of the first over that of the second.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

namespace taut::bench {

inline double seconds_of(auto&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The best of the calls of one turn. Threads of a library watch for more work for a while after a
/// call, on the cores that the next turn needs: a turn begins with a pause, and then takes long
/// enough for its own threads and caches to be warm.
double turn(auto&& work, std::chrono::milliseconds pause) {
  std::this_thread::sleep_for(pause);
  constexpr double kLeast = 0.02;
  double best = std::numeric_limits<double>::infinity();
  double total = 0;
  for (int calls = 0; calls < 2 || total < kLeast; ++calls) {
    const double seconds = seconds_of(work);
    best = std::min(best, seconds);
    total += seconds;
  }
  return best;
}

/// Runs `ours` and `theirs` by turns. `amount` is what each moves or computes, in bytes or in
/// operations; `unit` names the counters.
void alternate(benchmark::State& state, double amount, const char* unit, auto&& ours, auto&& theirs,
               std::chrono::milliseconds pause = std::chrono::milliseconds(10)) {
  double best_ours = std::numeric_limits<double>::infinity();
  double best_theirs = best_ours;
  ours();
  theirs();
  for (auto _ : state) {
    const double elapsed = turn(ours, pause);
    best_ours = std::min(best_ours, elapsed);
    best_theirs = std::min(best_theirs, turn(theirs, pause));
    state.SetIterationTime(elapsed);
  }
  state.counters[unit] = amount / best_ours / 1e9;
  state.counters["peer"] = amount / best_theirs / 1e9;
  state.counters["ratio"] = best_theirs / best_ours;
}

}  // namespace taut::bench
