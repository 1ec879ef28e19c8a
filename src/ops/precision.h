#pragma once
// What set_float32_matmul_precision chose.

#include "kernels/api/precision.h"

namespace taut::ops {

kernels::Float32Precision float32_precision();

}  // namespace taut::ops
