#pragma once
// A place in a stream of random numbers, apart from the generator (taut/core/generator.h) so that
// kernels need not know that.

#include <cstdint>

namespace taut {

/// All there is to a generator: restore it and the same numbers come again.
struct GeneratorState {
  uint64_t seed = 0;
  uint64_t offset = 0;
  friend bool operator==(const GeneratorState&, const GeneratorState&) = default;
};

}  // namespace taut
