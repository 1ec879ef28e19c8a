#pragma once
// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3" (SC 2011), for one counter at a time: the definition that every
// device follows. See Note [Which word makes which element] in kernels/api/random.h.

#include <cmath>
#include <cstdint>

#include "taut/base/macros.h"

namespace taut::kernels {

struct PhiloxBlock {
  uint32_t word[4];
};

inline constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53u;
inline constexpr uint32_t kPhiloxMultiplier1 = 0xCD9E8D57u;
inline constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9u;
inline constexpr uint32_t kPhiloxWeyl1 = 0xBB67AE85u;
inline constexpr int kPhiloxRounds = 10;

/// Ten rounds over a 128-bit counter under a 64-bit key.
TAUT_HD inline PhiloxBlock philox_block(PhiloxBlock counter, uint32_t key0, uint32_t key1) {
  uint32_t* c = counter.word;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t product0 = static_cast<uint64_t>(kPhiloxMultiplier0) * c[0];
    const uint64_t product1 = static_cast<uint64_t>(kPhiloxMultiplier1) * c[2];
    const uint32_t c0 = static_cast<uint32_t>(product1 >> 32) ^ c[1] ^ key0;
    const uint32_t c2 = static_cast<uint32_t>(product0 >> 32) ^ c[3] ^ key1;
    c[0] = c0;
    c[1] = static_cast<uint32_t>(product1);
    c[2] = c2;
    c[3] = static_cast<uint32_t>(product0);
    key0 += kPhiloxWeyl0;
    key1 += kPhiloxWeyl1;
  }
  return counter;
}

/// The block of a 64-bit counter: its upper two words are 0.
TAUT_HD inline PhiloxBlock philox(uint64_t seed, uint64_t counter) {
  return philox_block(
      {{static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0u, 0u}},
      static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

/// word < p 2^32 as word <= last, where p is over 0: what Bernoulli numbers and dropout ask.
struct WordThreshold {
  uint32_t last = 0;
  bool never = true;

  WordThreshold() = default;
  explicit WordThreshold(double p) {
    constexpr double kTwo32 = 4294967296.0;
    const double bound = std::ceil(p * kTwo32);
    never = !(bound >= 1.0);
    last = bound >= kTwo32 ? 0xffffffffu : static_cast<uint32_t>(never ? 0.0 : bound - 1.0);
  }
  TAUT_HD bool operator()(uint32_t word) const { return !never && word <= last; }
};

}  // namespace taut::kernels
