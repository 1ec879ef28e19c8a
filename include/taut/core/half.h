#pragma once
// The two 16-bit floating types as they lie in memory: IEEE 754 binary16 and bfloat16.
// They store; arithmetic happens in float. Conversions round to nearest, ties to even.

#include <bit>
#include <cstdint>

#include "taut/base/macros.h"

namespace taut {

struct BFloat16 {
  uint16_t bits;

  BFloat16() = default;
  TAUT_HD explicit BFloat16(float value) : bits(round(value)) {}
  TAUT_HD operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
  TAUT_HD static BFloat16 from_bits(uint16_t bits) {
    BFloat16 result;
    result.bits = bits;
    return result;
  }

 private:
  TAUT_HD static uint16_t round(float value) {
    const uint32_t word = std::bit_cast<uint32_t>(value);
    if ((word & 0x7fffffffu) > 0x7f800000u) return 0x7fc0u;  // NaN stays NaN
    const uint32_t tie_to_even = 0x7fffu + ((word >> 16) & 1u);
    return static_cast<uint16_t>((word + tie_to_even) >> 16);
  }
};

struct Float16 {
  uint16_t bits;

  Float16() = default;
  TAUT_HD explicit Float16(float value) : bits(round(value)) {}
  TAUT_HD operator float() const { return widen(bits); }
  TAUT_HD static Float16 from_bits(uint16_t bits) {
    Float16 result;
    result.bits = bits;
    return result;
  }

 private:
  TAUT_HD static float widen(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    const uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) {  // infinity and NaN
      return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    }
    if (magnitude < 0x400u) {  // zero and subnormal: magnitude * 2^-24, exact in float
      const float value = static_cast<float>(magnitude) * 5.9604644775390625e-08f;
      return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
    }
    return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
  }

  TAUT_HD static uint16_t round(float value) {
    const uint32_t word = std::bit_cast<uint32_t>(value);
    const uint16_t sign = static_cast<uint16_t>((word >> 16) & 0x8000u);
    const uint32_t magnitude = word & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);   // NaN
    if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // to infinity
    if (magnitude < 0x38800000u) {
      // Subnormal: adding 0.5 aligns the mantissa so that the FPU rounds it to the 2^-24 grid.
      const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
      return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(aligned) - 0x3f000000u));
    }
    const uint32_t tie_to_even = 0xfffu + ((magnitude >> 13) & 1u);
    return static_cast<uint16_t>(sign | ((magnitude + tie_to_even - 0x38000000u) >> 13));
  }
};

static_assert(sizeof(Float16) == 2 && sizeof(BFloat16) == 2);

}  // namespace taut
