#pragma once
// Where random numbers come from: a counter-based generator (Philox), so that a seed gives the same
// numbers on every device and with any number of threads.
//   manual_seed(42);  Tensor x = randn({3});

#include <atomic>
#include <cstdint>

#include "taut/base/macros.h"
#include "taut/core/generator_state.h"

namespace taut {

/// Safe from many threads: each op takes its own stretch of the stream.
class TAUT_API Generator {
 public:
  Generator() = default;
  explicit Generator(uint64_t seed) : seed_(seed) {}
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  /// Starts the stream of `seed` at its beginning.
  void manual_seed(uint64_t seed) {
    seed_.store(seed);
    offset_.store(0);
  }
  /// Seeds from the system's entropy and returns the seed.
  uint64_t seed();
  uint64_t initial_seed() const { return seed_.load(); }
  GeneratorState state() const { return {seed_.load(), offset_.load()}; }
  void set_state(const GeneratorState& state) {
    seed_.store(state.seed);
    offset_.store(state.offset);
  }
  /// Takes `blocks` counter values for one op: the state it starts from.
  GeneratorState reserve(uint64_t blocks) {
    return {seed_.load(std::memory_order_relaxed), offset_.fetch_add(blocks)};
  }

 private:
  std::atomic<uint64_t> seed_{67280421310721};
  std::atomic<uint64_t> offset_{0};
};

/// The generator that ops use when none is given.
TAUT_API Generator& default_generator();

/// Seeds the default generator.
TAUT_API void manual_seed(uint64_t seed);

/// Whether every op must give the same bits in every run. Ops on the CPU always do.
TAUT_API void use_deterministic_algorithms(bool enabled);
TAUT_API bool are_deterministic_algorithms_enabled();

}  // namespace taut
