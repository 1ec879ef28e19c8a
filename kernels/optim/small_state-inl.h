// Blocks of small states on the CPU; see Note [Small state].

#if defined(TAUT_KERNELS_OPTIM_SMALL_STATE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_OPTIM_SMALL_STATE_INL_H_
#undef TAUT_KERNELS_OPTIM_SMALL_STATE_INL_H_
#else
#define TAUT_KERNELS_OPTIM_SMALL_STATE_INL_H_
#endif

#include <algorithm>
#include <cmath>

#include "kernels/api/small_state.h"
#include "kernels/api/visit_dtype.h"
#include "taut/base/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

/// n <= kStateBlock elements of a state of `size`, from `begin` on, a multiple of kStateBlock.
struct StateBlock {
  StateFormat format;
  void* data;
  int64_t size, begin, n;

  BFloat16* halves() const { return static_cast<BFloat16*>(data) + begin; }
  uint8_t* codes() const { return static_cast<uint8_t*>(data) + begin; }
  float& scale() const {
    auto* scales = reinterpret_cast<float*>(static_cast<uint8_t*>(data) + state_codes(size));
    return scales[begin / kStateBlock];
  }
};

/// What random rounding of a block draws from.
struct StateDraw {
  uint32_t place, step;
};

template <class A>
HWY_NOINLINE void load_state(const StateBlock& block, bool is_signed, A* values) {
  if (block.format == StateFormat::bfloat16) {
    const BFloat16* halves = block.halves();
    for (int64_t i = 0; i < block.n; ++i) values[i] = static_cast<A>(static_cast<float>(halves[i]));
    return;
  }
  const uint8_t* codes = block.codes();
  const float scale = block.scale();
  for (int64_t i = 0; i < block.n; ++i) {
    const float value = is_signed ? signed_value(kSignedStateMap.values, codes[i])
                                  : kUnsignedStateMap.values[codes[i]];
    values[i] = static_cast<A>(scale * value);
  }
}

// Calls put(i, value, random bits) for each element, with bits of 0 where nothing is drawn.
template <class A, class Put>
void for_state_elements(const StateBlock& block, const A* values, const StateDraw* draw,
                        Put&& put) {
  for (int64_t first = 0; first < block.n; first += 8) {
    const int64_t end = std::min<int64_t>(first + 8, block.n);
    if (draw == nullptr) {
      for (int64_t i = first; i < end; ++i) put(i, static_cast<float>(values[i]), 0u);
      continue;
    }
    const StateRandom random(draw->place, draw->step, block.begin + first);
    for (int64_t i = first; i < end; ++i) {
      put(i, static_cast<float>(values[i]), random.bits(i - first));
    }
  }
}

/// `draw`: of states that are rounded at random, which have no sign; null for the others.
template <class A>
HWY_NOINLINE void store_state(const StateBlock& block, bool is_signed, const StateDraw* draw,
                              const A* values) {
  if (block.format == StateFormat::bfloat16) {
    BFloat16* halves = block.halves();
    for_state_elements(block, values, draw, [&](int64_t i, float value, uint32_t bits) {
      halves[i] =
          draw == nullptr ? BFloat16(value) : BFloat16::from_bits(random_bfloat16(value, bits));
    });
    return;
  }
  float largest = 0.0f;
  for (int64_t i = 0; i < block.n; ++i) {
    largest = std::max(largest, std::fabs(static_cast<float>(values[i])));
  }
  block.scale() = largest;
  const float factor = share_factor(largest);
  uint8_t* codes = block.codes();
  for_state_elements(block, values, draw, [&](int64_t i, float value, uint32_t bits) {
    const float share = value * factor;
    const StateMap& map = kUnsignedStateMap;
    codes[i] = is_signed ? signed_code(kSignedStateMap.values, share)
               : draw != nullptr
                   ? static_cast<uint8_t>(random_entry(map.values, map.last, false, share, bits))
                   : static_cast<uint8_t>(nearest_entry(map.values, map.last, false, share));
  });
}

/// Calls run(tensor, begin, n) for the blocks of all tensors, which the threads share evenly.
template <class Run>
void for_state_blocks(const int64_t* sizes, int64_t count, Run&& run) {
  constexpr int64_t kBlocksOfThread = 32;
  int64_t total = 0;
  for (int64_t i = 0; i < count; ++i) total += state_blocks(sizes[i]);
  parallel_for(total, kBlocksOfThread, [&](int64_t begin, int64_t end) {
    int64_t start = 0;  // of the tensor, among all blocks
    for (int64_t i = 0; i < count && start < end; start += state_blocks(sizes[i]), ++i) {
      const int64_t from = std::max(begin - start, int64_t{0});
      const int64_t to = std::min(end - start, state_blocks(sizes[i]));
      for (int64_t block = from; block < to; ++block) {
        const int64_t first = block * kStateBlock;
        run(i, first, std::min(kStateBlock, sizes[i] - first));
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
