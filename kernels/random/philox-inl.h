// Philox words by the register, and the walk over an output in pieces that stay in the first-level
// cache.

#if defined(TAUT_KERNELS_RANDOM_PHILOX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_RANDOM_PHILOX_INL_H_
#undef TAUT_KERNELS_RANDOM_PHILOX_INL_H_
#else
#define TAUT_KERNELS_RANDOM_PHILOX_INL_H_
#endif

#include <algorithm>

#include "kernels/api/philox.h"
#include "kernels/api/random.h"
#include "kernels/api/simd_rows-inl.h"
#include "taut/base/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// Words made at a time; a multiple of what any register holds.
constexpr int64_t kWords = 1024;
// About 20 us of words.
constexpr int64_t kGrain = 16384;

/// n elements and what fills the last register: a piece is made and worked on so far.
constexpr int64_t padded(int64_t n) { return (n + 31) / 32 * 32; }

/// `count` words, a multiple of 32, of the blocks from `counter` on. Each 64-bit lane works on one
/// counter; only the lower halves of the lanes count, so what the multiplications leave above is
/// not cleared.
inline HWY_NOINLINE void philox_words(uint64_t seed, uint64_t counter, int64_t count,
                                      uint32_t* words) {
  const hn::ScalableTag<uint64_t> d;
  const hn::Repartition<uint32_t, decltype(d)> d32;
  const auto times = [&](auto a, auto b) {
    return hn::MulEven(hn::BitCast(d32, a), hn::BitCast(d32, b));
  };
  const auto multiplier0 = hn::Set(d, uint64_t{kPhiloxMultiplier0});
  const auto multiplier1 = hn::Set(d, uint64_t{kPhiloxMultiplier1});
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  const auto one_by_one = hn::Iota(d, 0);
  const auto lower = hn::Set(d, uint64_t{0xffffffffu});
  for (int64_t i = 0; i < count / 4; i += step) {
    const auto index = hn::Add(hn::Set(d, counter + static_cast<uint64_t>(i)), one_by_one);
    auto c0 = index, c1 = hn::ShiftRight<32>(index), c2 = hn::Zero(d), c3 = hn::Zero(d);
    uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < kPhiloxRounds; ++round) {
      const auto product0 = times(multiplier0, c0);
      const auto product1 = times(multiplier1, c2);
      c0 = hn::Xor3(hn::ShiftRight<32>(product1), c1, hn::Set(d, uint64_t{key0}));
      c2 = hn::Xor3(hn::ShiftRight<32>(product0), c3, hn::Set(d, uint64_t{key1}));
      c1 = product1;
      c3 = product0;
      key0 += kPhiloxWeyl0;
      key1 += kPhiloxWeyl1;
    }
    const auto low = hn::Or(hn::And(c0, lower), hn::ShiftLeft<32>(c1));
    const auto high = hn::Or(hn::And(c2, lower), hn::ShiftLeft<32>(c3));
    hn::StoreInterleaved2(low, high, d, reinterpret_cast<uint64_t*>(words + 4 * i));
  }
}

/// Calls body(words, first element, n) over the output, with the words of padded(n) elements.
template <class Body>
void for_words(const RandomArgs& args, int width, Body&& body) {
  const int64_t per_piece = width == 64 ? kWords / 2 : kWords;
  const int64_t pieces = (args.n + per_piece - 1) / per_piece;
  parallel_for(pieces, kGrain / per_piece, [&](int64_t begin, int64_t end) {
    HWY_ALIGN uint32_t words[kWords];
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first = piece * per_piece;
      const int64_t n = std::min(per_piece, args.n - first);
      philox_words(args.place.seed, args.place.offset + static_cast<uint64_t>(piece) * (kWords / 4),
                   padded(n) * width / 32, words);
      body(words, first, n);
    }
  });
}

/// The 64 bits of a wide element.
HWY_INLINE uint64_t wide_bits(const uint32_t* words, int64_t i) {
  return words[2 * i] | static_cast<uint64_t>(words[2 * i + 1]) << 32;
}

/// u in [0, 1) of padded(n) elements, in the compute type.
template <class A>
HWY_INLINE void unit_values(const uint32_t* HWY_RESTRICT words, int64_t n, A* HWY_RESTRICT u) {
  if constexpr (sizeof(A) == 4) {
    for (int64_t i = 0; i < padded(n); ++i) {
      u[i] = static_cast<float>(static_cast<int32_t>(words[i] >> 8)) * 0x1p-24f;
    }
  } else {
    for (int64_t i = 0; i < padded(n); ++i) {
      u[i] = static_cast<double>(static_cast<int64_t>(wide_bits(words, i) >> 11)) * 0x1p-53;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
