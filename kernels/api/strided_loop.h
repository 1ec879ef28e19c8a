#pragma once
// Bringing a loop over strided operands into its simplest form before it runs.

#include "taut/core/dims.h"

namespace taut::kernels {

/// A nest of loops over `shape`, with the strides of `count` operands in elements.
struct StridedLoop {
  Dims shape;
  Dims* strides[8];
  int count = 0;
};

/// Orders the dims so that operand 0 steps least in the last one, drops dims of size 1 and merges
/// dims that all operands walk through as one. The result has at least one dim unless it has none
/// of size other than 1. Changes the Dims that `loop` points to.
void simplify(StridedLoop& loop);

}  // namespace taut::kernels
