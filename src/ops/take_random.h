#pragma once
// The stretch of a generator's stream that an op takes.

#include "kernels/api/random_place.h"
#include "src/core/cuda_runtime.h"
#include "taut/core/generator.h"

namespace taut::ops {

/// Takes `blocks` counter values for an op on `device`; in a capture, when the graph is replayed.
inline kernels::RandomPlace take_random(Generator& generator, Device device, uint64_t blocks) {
  if (const auto captured = cuda::capture_random(device, generator, blocks)) {
    return {.offset = captured->offset, .base = captured->base};
  }
  const GeneratorState state = generator.reserve(blocks);
  return {.seed = state.seed, .offset = state.offset};
}

}  // namespace taut::ops
