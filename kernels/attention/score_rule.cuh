#pragma once
// What happens to the scores between the two products of attention: scale, mask, causality and
// dropout, for kernels that hold a few scores in each thread.

#include "kernels/api/attention.h"
#include "kernels/api/cuda_launch.cuh"
#include "kernels/attention/attention_rows.cuh"

namespace taut::kernels::cuda {

constexpr float kLog2E = 1.44269504088896340736f;
constexpr float kLn2 = 0.69314718055994530942f;

/// The query rows and heads are named by `query_row` = (batch heads + head) queries + query.
struct Dropout {
  bool is_on;
  bool has_whole_blocks;  // no Philox block lies across two rows
  RandomPlace random;
  WordThreshold keeps_word;
  float scale;  // of what is kept

  explicit Dropout(const AttentionShape& shape)
      : is_on(shape.dropout_p > 0),
        has_whole_blocks(shape.keys % 4 == 0),
        random(shape.random),
        keeps_word(1.0 - shape.dropout_p),
        scale(shape.dropout_p < 1.0 ? static_cast<float>(1.0 / (1.0 - shape.dropout_p)) : 0.0f) {}

  __device__ PhiloxBlock block_of(int64_t element) const { return block_at(random, element >> 2); }

  __device__ bool keeps(int64_t element) const {
    const PhiloxBlock block = block_of(element);
    const uint32_t which = static_cast<uint32_t>(element) & 3u;
    const uint32_t low = which & 1u ? block.word[1] : block.word[0];
    const uint32_t high = which & 1u ? block.word[3] : block.word[2];
    return keeps_word(which & 2u ? high : low);
  }

  /// Bit e: whether `element` + e is kept, for e in 0..3; `element` is a multiple of 4.
  __device__ uint32_t block_bits(int64_t element) const {
    const PhiloxBlock block = block_of(element);
    uint32_t bits = 0;
#pragma unroll
    for (int e = 0; e < 4; ++e) bits |= (keeps_word(block.word[e]) ? 1u : 0u) << e;
    return bits;
  }

  /// Four lanes of a warp, `kStride` apart, hold four neighbours along the keys: rank r holds
  /// element first(e) + r of each of four rows of scores, e in 0..3. Returns bit e for the caller's
  /// elements. Each lane makes one Philox block, and they exchange what came out. All lanes of the
  /// warp must call it; first(e) is a multiple of 4 where rows are.
  template <int kStride, class First>
  __device__ uint32_t kept_across_lanes(const First& first) const {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const int rank = lane / kStride & 3;
    uint32_t bits = 0;
    if (!has_whole_blocks) {
#pragma unroll 1
      for (int e = 0; e < 4; ++e) bits |= (keeps(first(e) + rank) ? 1u : 0u) << e;
      return bits;
    }
    const uint32_t mine = block_bits(first(rank));
    const int leader = lane - rank * kStride;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      bits |= (__shfl_sync(0xffffffffu, mine, leader + e * kStride) >> rank & 1u) << e;
    }
    return bits;
  }
};

/// What becomes of products.
struct ScoreRule {
  int batch, heads, queries, keys;
  bool is_causal;
  bool has_mask;
  bool is_bool_mask;
  const void* mask;
  DType mask_dtype;
  int64_t mask_batch, mask_head, mask_query, mask_key;
  float scale;
  float scale_log2;  // of products, in scores to base 2
  Dropout dropout;

  explicit ScoreRule(const AttentionShape& shape)
      : batch(static_cast<int>(shape.batch)),
        heads(static_cast<int>(shape.heads)),
        queries(static_cast<int>(shape.queries)),
        keys(static_cast<int>(shape.keys)),
        is_causal(shape.is_causal),
        has_mask(shape.mask != nullptr),
        is_bool_mask(shape.mask_dtype == DType::bool_),
        mask(shape.mask),
        mask_dtype(shape.mask_dtype),
        mask_batch(shape.mask_strides[0]),
        mask_head(shape.mask_strides[1]),
        mask_query(shape.mask_strides[2]),
        mask_key(shape.mask_strides[3]),
        scale(static_cast<float>(shape.scale)),
        scale_log2(static_cast<float>(shape.scale * 1.44269504088896340736)),
        dropout(shape) {}

  /// Keys that any of the queries before `end` sees.
  __device__ int keys_before(int end) const { return is_causal ? min(keys, end) : keys; }

  /// Whether the key takes part, but for a mask; false past the ends.
  __device__ bool sees(int query, int key) const {
    return key < keys && query < queries && (!is_causal || key <= query);
  }

  __device__ int64_t mask_offset(int b, int h) const { return b * mask_batch + h * mask_head; }

  /// A masked score to base 2, given the one without; `offset` is mask_offset().
  template <class T>
  __device__ float masked(float score, int64_t offset, int query, int key) const {
    const int64_t at = offset + query * mask_query + key * mask_key;
    if (is_bool_mask) return static_cast<const bool*>(mask)[at] ? score : -INFINITY;
    return score + kLog2E * widen(static_cast<const T*>(mask)[at]);
  }

  /// The first element of a row of weights in the stream of dropout.
  __device__ int64_t row_element(int b, int h, int query) const {
    return ((int64_t{b} * heads + h) * queries + query) * keys;
  }
};

/// The tile of queries that a block takes: with causality those with the most keys to see come
/// first.
__device__ inline int query_tile_of(const ScoreRule& rule, int tiles, const BlockPlace& place) {
  return rule.is_causal ? tiles - 1 - place.tile : place.tile;
}

}  // namespace taut::kernels::cuda
