#pragma once
// The check of values on CUDA.

#include "kernels/api/pointwise.h"

namespace taut::kernels::cuda {

void check_range(const CheckRangeArgs& args);

}  // namespace taut::kernels::cuda
