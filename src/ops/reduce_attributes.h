#pragma once
// What the tape keeps of a reduction beside tensors, and observers are shown.

#include <cstdint>

#include "taut/core/dims.h"

namespace taut::ops {

/// Enough to bring a gradient back to the input's shape. mask: the dims that went.
struct ReduceAttributes {
  Dims shape;
  Dims keepdim;
  uint32_t mask;
  double scale;
};

/// Of var and std.
struct MomentAttributes {
  ReduceAttributes reduce;
  double correction;
  bool is_std;
};

}  // namespace taut::ops
