#pragma once
// Optimizer state in 16 or 8 bits; what both devices do with an element of it.
//
// Note [Small state]
// A state may be kept in bfloat16, or in 8 bits: blocks of kStateBlock elements have a scale each,
// their largest magnitude, and an element is the number of an entry of a map of values from 0 to 1
// (and -1), in decades down to 1e-6, as in Dettmers, Lewis, Shleifer and Zettlemoyer, 8-bit
// Optimizers via Block-wise Quantization, 2021. In memory the codes of all elements come first,
// then, from state_codes(n) on, the scales. A step reads a state, computes in float32 and rounds.
//
// Means of gradients are rounded to the nearest. Means of their squares are rounded at random, up
// as often as the value is close to the upper neighbour: at beta2 = 0.999 a step moves them by a
// thousandth, which is less than half the distance of two numbers in 8 bits of mantissa, so that
// rounding to the nearest would leave them where they are for ever. The random numbers are
// Philox's, of the parameter's place in its optimizer and the number of its step: the same on each
// device and in each run.

#include <cstdint>
#include <cstring>

#include "kernels/api/philox.h"
#include "taut/base/macros.h"

namespace taut::kernels {

enum class StateFormat : uint8_t {
  plain,  // of the dtype of the step
  bfloat16,
  blocks8,
};

inline constexpr int64_t kStateBlock = 256;

/// Bytes from the first code to the first scale.
TAUT_HD constexpr int64_t state_codes(int64_t n) { return (n + 15) / 16 * 16; }
TAUT_HD constexpr int64_t state_blocks(int64_t n) { return (n + kStateBlock - 1) / kStateBlock; }
constexpr int64_t state_bytes(int64_t n) {
  return state_codes(n) + state_blocks(n) * static_cast<int64_t>(sizeof(float));
}

/// The values of a map in rising order, from 0 to 1. Decade i of 7 has 2^i values, or 2^(i+1) where
/// there is no sign: the middles of as many equal parts of it.
struct StateMap {
  float values[256];
  int last;  // the entry that is 1

  static constexpr int kDecades = 7;

  constexpr StateMap() : values(), last(0) {}  // for a GPU's, on the host
  explicit constexpr StateMap(bool is_signed) : StateMap() {
    double decade = 1e-6;
    for (int i = 0; i < kDecades; ++i, decade *= 10) {
      const int count = (is_signed ? 1 : 2) << i;
      for (int part = 0; part < count; ++part) {
        values[++last] = static_cast<float>(decade * (0.1 + 0.9 * (part + 0.5) / count));
      }
    }
    values[++last] = 1.0f;
  }
};
inline constexpr StateMap kSignedStateMap(true);     // entries 0 to 128
inline constexpr StateMap kUnsignedStateMap(false);  // entries 0 to 255

/// The last entry that is not above `value`; 0 for NaN. The entries of a decade are evenly spaced,
/// which tells one to within a neighbour; the table has the last word.
TAUT_HD inline int entry_below(const float* values, int last, bool is_signed, float value) {
  if (!(value >= values[1])) return 0;
  if (value >= values[last]) return last;
  int decade = StateMap::kDecades - 1;
  float in_decade = value;  // as if of the last one
  for (int i = 0; i < StateMap::kDecades - 1; ++i) {
    const bool is_below = in_decade <= 0.1f;
    in_decade = is_below ? in_decade * 10.0f : in_decade;
    decade -= is_below ? 1 : 0;
  }
  const int count = (is_signed ? 1 : 2) << decade;
  const int first = is_signed ? count : count - 1;
  // Entries are the middles of their parts.
  const float parts = (in_decade - 0.1f) * (static_cast<float>(count) * (1.0f / 0.9f)) + 0.5f;
  const int entry = first - 1 + static_cast<int>(parts);
  return entry - (values[entry] > value ? 1 : 0) + (values[entry + 1] <= value ? 1 : 0);
}
TAUT_HD inline int nearest_entry(const float* values, int last, bool is_signed, float value) {
  const int low = entry_below(values, last, is_signed, value);
  return low < last && value - values[low] > values[low + 1] - value ? low + 1 : low;
}
/// One of the two entries around a value; `random`: 16 bits.
TAUT_HD inline int random_entry(const float* values, int last, bool is_signed, float value,
                                uint32_t random) {
  const int low = entry_below(values, last, is_signed, value);
  if (low == last) return low;
  const float chance = (static_cast<float>(random) + 0.5f) * 0x1p-16f;
  return value - values[low] > chance * (values[low + 1] - values[low]) ? low + 1 : low;
}

/// What a state's elements are multiplied by to be shares of the largest of their block. None is
/// told from 0 where the largest is next to it.
TAUT_HD inline float share_factor(float largest) {
  return largest > 1e-37f ? 1.0f / largest : 0.0f;
}

/// Codes of a signed map: entry i is i, its negative 128 + i; there is no -1.
TAUT_HD inline uint8_t signed_code(const float* values, float value) {
  const bool is_negative = value < 0.0f;
  const int entry =
      nearest_entry(values, is_negative ? 127 : 128, true, is_negative ? -value : value);
  return static_cast<uint8_t>(is_negative && entry > 0 ? 128 + entry : entry);
}
TAUT_HD inline float signed_value(const float* values, uint8_t code) {
  return code <= 128 ? values[code] : -values[code - 128];
}

/// The 16-bit float at or above in magnitude, or at or below, by 16 random bits.
TAUT_HD inline uint16_t random_bfloat16(float value, uint32_t random) {
  uint32_t bits = 0;
  memcpy(&bits, &value, sizeof(bits));
  if ((bits & 0x7f800000u) == 0x7f800000u) {  // infinite, or NaN, which must stay that
    return static_cast<uint16_t>(bits >> 16 | ((bits & 0x7fffffu) != 0 ? 0x40u : 0u));
  }
  return static_cast<uint16_t>((bits + random) >> 16);
}

/// The random bits of eight neighbours, from an element whose number is a multiple of 8 on.
struct StateRandom {
  PhiloxBlock block;

  TAUT_HD StateRandom(uint32_t place, uint32_t step, int64_t first)
      : block(philox(static_cast<uint64_t>(place) << 32 | step, static_cast<uint64_t>(first) / 8)) {
  }
  TAUT_HD uint32_t bits(int64_t i) const { return block.word[i / 2] >> (i % 2 * 16) & 0xffffu; }
};

}  // namespace taut::kernels
