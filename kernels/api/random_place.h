#pragma once
// Where in the stream of random numbers an op's own begin.

#include "kernels/api/philox.h"
#include "taut/core/generator_state.h"

namespace taut::kernels {

struct RandomPlace {
  uint64_t seed = 0;
  uint64_t offset = 0;
  /// In a captured graph, on the device: the seed to take instead, and where `offset` counts from.
  /// Null otherwise.
  const GeneratorState* base = nullptr;
};

/// The i-th block from a place on.
TAUT_HD inline PhiloxBlock block_at(const RandomPlace& place, int64_t i) {
  const uint64_t counter = place.offset + static_cast<uint64_t>(i);
  if (place.base == nullptr) return philox(place.seed, counter);
  return philox(place.base->seed, place.base->offset + counter);
}

}  // namespace taut::kernels
