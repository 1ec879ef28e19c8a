#pragma once
// What the CPU can do.

#include "taut/base/macros.h"

namespace taut {

/// The instruction set that the kernels use on this machine: "AVX-512", "AVX2" or "SSE4".
TAUT_API const char* simd_instruction_set();

}  // namespace taut
