#pragma once
// Arguments that speak of the spatial dims of convolutions and pools.

#include "taut/core/dims.h"

namespace taut::nn::functional {

/// A kernel size, stride, padding or dilation for each of `spatial` dims; one number stands for
/// all.
/// @throws ShapeError for another count, ValueError for a number under `least` or too large to
/// count with.
Dims for_each_dim(const char* op, const char* argument, const Dims& values, int spatial,
                  int64_t least);

}  // namespace taut::nn::functional
