#pragma once
// Scores and weights in the fragments of a warp: mask, causality, dropout; which of the kernels on
// tensor cores a call needs.

#include "kernels/attention/mma_tile.cuh"
#include "kernels/attention/score_rule.cuh"

namespace taut::kernels::cuda {

/// Whether scores need more than a positive factor and causality.
inline bool needs_general(const AttentionShape& shape) {
  const auto scale = static_cast<float>(shape.scale * 1.44269504088896340736);
  const bool is_plain_scale = scale > 0.0f && scale < INFINITY;
  return shape.mask != nullptr || shape.dropout_p > 0 || !is_plain_scale;
}

/// Calls body(std::integral_constant<int, kWidth>) with the least width of tiles that both rows of
/// keys and rows of values fit.
template <class Body>
bool visit_width(const AttentionShape& shape, const Body& body) {
  const int64_t width = shape.width > shape.value_width ? shape.width : shape.value_width;
  if (width <= 32) return body(std::integral_constant<int, 32>{});
  if (width <= 64) return body(std::integral_constant<int, 64>{});
  if (width <= 96) return body(std::integral_constant<int, 96>{});
  if (width <= 128) return body(std::integral_constant<int, 128>{});
  if (width <= 192) return body(std::integral_constant<int, 192>{});
  return body(std::integral_constant<int, 256>{});
}

#if __CUDA_ARCH__ >= 800 || !defined(__CUDA_ARCH__)

/// The scores of a warp: rows from `first_row` on by kCols columns. Rows are queries and columns
/// keys, or with kIsKeyMajor the other way round.
template <class T, int kRowTilesOf, int kColsOf, bool kIsKeyMajor, bool kIsGeneralOf>
struct ScoreTile {
  static constexpr int kRowTiles = kRowTilesOf;
  static constexpr int kCols = kColsOf;
  static constexpr bool kIsGeneral = kIsGeneralOf;
  using Scores = Sums<kRowTiles, kCols>;
  const ScoreRule& rule;
  int batch, head;
  int first_row;

  /// See renewed(int).
  __device__ ScoreTile renewed() const { return {rule, batch, head, cuda::renewed(first_row)}; }

  __device__ int query(const Element& at, int first_col) const {
    return kIsKeyMajor ? first_col + at.col : first_row + at.row;
  }
  __device__ int key(const Element& at, int first_col) const {
    return kIsKeyMajor ? first_row + at.row : first_col + at.col;
  }

  /// Products become scores: to base 2 where kIsGeneral, unscaled otherwise; -infinity where the
  /// query does not see the key.
  __device__ void finish_scores(Scores& scores, int first_col) const {
    if constexpr (kIsGeneral) renewed().scale_and_mask(scores, first_col);
    if (!sees_all(first_col)) renewed().hide_unseen(scores, first_col);
  }

  /// Weights that dropout does not keep become 0; the others stay as they are.
  __device__ void drop(Scores& weights, int first_col) const {
    if (!rule.dropout.is_on) return;
    const ScoreTile tile = renewed();
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int n = 0; n < kCols / 8; ++n) {
        const uint32_t bits = tile.kept(r, n, first_col);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          if ((bits >> e & 1u) == 0) weights.at[r][n][e] = 0.0f;
        }
      }
    }
  }

  /// Bit e: whether dropout keeps element e of weights.at[r][n].
  __device__ uint32_t kept(int r, int n, int first_col) const {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    if constexpr (kIsKeyMajor) {
      // Keys 4i .. 4i+3 of one query are four rows of the tile: those of lanes 4 apart.
      return rule.dropout.kept_across_lanes<4>([&](int e) {
        const Element at(r, n, e);
        const int first_key = key(at, first_col) - (lane >> 2 & 3);
        return rule.row_element(batch, head, query(at, first_col)) + first_key;
      });
    } else {
      return kept_by_pairs(r, n, first_col, lane);
    }
  }

 private:
  // Of rows past the end nothing is kept, so they may see what they like.
  __device__ bool sees_all(int first_col) const {
    const int col_end = first_col + kCols;
    if constexpr (kIsKeyMajor) {
      const int last_row = first_row + kRowTiles * 16 - 1;
      return col_end <= rule.queries && (!rule.is_causal || last_row <= first_col);
    } else {
      return col_end <= rule.keys && (!rule.is_causal || col_end - 1 <= first_row);
    }
  }

  __device__ void hide_unseen(Scores& scores, int first_col) const {
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = first_row + Element(r, 0, 2 * half).row;
        const int begin = kIsKeyMajor && rule.is_causal ? row : 0;
        const int end = kIsKeyMajor ? rule.queries : rule.keys_before(row + 1);
#pragma unroll
        for (int n = 0; n < kCols / 8; ++n) {
#pragma unroll
          for (int e = 2 * half; e < 2 * half + 2; ++e) {
            const int col = first_col + Element(r, n, e).col;
            const bool is_early = kIsKeyMajor && col < begin;
            if (is_early || col >= end) scores.at[r][n][e] = -INFINITY;
          }
        }
      }
    }
  }

  __device__ void scale_and_mask(Scores& scores, int first_col) const {
    const int64_t offset = rule.mask_offset(batch, head);
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int n = 0; n < kCols / 8; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          float& score = scores.at[r][n][e];
          score *= rule.scale_log2;
          if (!rule.has_mask) continue;
          const Element at(r, n, e);
          const int i = query(at, first_col), j = key(at, first_col);
          if (i < rule.queries && j < rule.keys) score = rule.masked<T>(score, offset, i, j);
        }
      }
    }
  }

  // Two neighbouring lanes hold four keys of two queries, 8 rows apart: the even lane makes the
  // Philox block of the upper row, the odd one that of the lower.
  __device__ uint32_t kept_by_pairs(int r, int n, int first_col, int lane) const {
    const int64_t upper = rule.row_element(batch, head, query(Element(r, n, 0), first_col));
    const int64_t lower = upper + int64_t{8} * rule.keys;
    const int first_key = first_col + n * 8 + (lane & 2) * 2;
    const int odd = lane & 1;
    if (!rule.dropout.has_whole_blocks) {
      uint32_t bits = 0;
#pragma unroll 1
      for (int e = 0; e < 4; ++e) {
        const int64_t element = (e < 2 ? upper : lower) + first_key + odd * 2 + (e & 1);
        bits |= (rule.dropout.keeps(element) ? 1u : 0u) << e;
      }
      return bits;
    }
    const uint32_t mine = rule.dropout.block_bits((odd ? lower : upper) + first_key);
    const uint32_t other = __shfl_xor_sync(0xffffffffu, mine, 1);
    const uint32_t of_upper = odd ? other : mine, of_lower = odd ? mine : other;
    return (of_upper >> (odd * 2) & 3u) | (of_lower >> (odd * 2) & 3u) << 2;
  }
};

#endif

}  // namespace taut::kernels::cuda
