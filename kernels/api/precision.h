#pragma once
// How exact products of float32 numbers must be.

#include <cstdint>

namespace taut::kernels {

/// What the factors of float32 products may be rounded to, on devices that gain by it: nothing,
/// tf32 (10 bits of mantissa) or bfloat16 (7 bits). They are always summed in float32.
enum class Float32Precision : uint8_t { highest, high, medium };

}  // namespace taut::kernels
