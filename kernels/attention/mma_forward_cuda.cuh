#pragma once
// Forward attention on tensor cores; see Note [Flash attention] and Note [Fragments]. Included by
// one file for each dtype.

#include "kernels/attention/attention_problem.cuh"
#include "kernels/attention/flash_attention.h"
#include "kernels/attention/mma_scores.cuh"

namespace taut::kernels::cuda {

/// Tiles for rows of up to kWidth elements: rows to a warp and columns to a step.
template <int kWidthOf>
struct ForwardShape {
  static constexpr int kWidth = kWidthOf;
  static constexpr int kRowTiles = kWidth <= 128 ? 2 : 1;
  static constexpr int kCols = 64;
  static constexpr int kRows = kMmaWarps * kRowTiles * 16;
  // At a width of 256 these are all the 99 KiB that compute capability 8.6 has.
  static constexpr int kSharedBytes = tile_bytes<kWidth>(kRows + 2 * kCols);
};

#if __CUDA_ARCH__ >= 800 || !defined(__CUDA_ARCH__)

/// The running softmax of a warp's rows: two for each row tile in a lane, in step with the three
/// lanes beside it. `highest` is of scores that `to_base_2` turns into scores to base 2.
template <int kRowTiles>
struct RunningSoftmax {
  float highest[kRowTiles][2];
  float sum[kRowTiles][2];  // of this lane's columns
  float to_base_2;

  __device__ explicit RunningSoftmax(float factor) : to_base_2(factor) {
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        highest[r][half] = -INFINITY;
        sum[r][half] = 0.0f;
      }
    }
  }

  /// Turns scores into exponentials relative to the new maximum, and results with them.
  template <int kCols, int kWidth>
  __device__ void take(Sums<kRowTiles, kCols>& scores, Sums<kRowTiles, kWidth>& results) {
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float next = highest[r][half];
#pragma unroll
        for (int n = 0; n < kCols / 8; ++n) {
          next = fmaxf(next, fmaxf(scores.at[r][n][2 * half], scores.at[r][n][2 * half + 1]));
        }
        next = fmaxf(next, __shfl_xor_sync(0xffffffffu, next, 1));
        next = fmaxf(next, __shfl_xor_sync(0xffffffffu, next, 2));
        // A row that has seen no key yet has only zeros, also relative to 0.
        const float base = next == -INFINITY ? 0.0f : next;
        const float rescaling = exp2_fast((highest[r][half] - base) * to_base_2);
        const float base_2 = base * to_base_2;
        float added = 0.0f;
#pragma unroll
        for (int n = 0; n < kCols / 8; ++n) {
#pragma unroll
          for (int e = 2 * half; e < 2 * half + 2; ++e) {
            const float term = exp2_fast(scores.at[r][n][e] * to_base_2 - base_2);
            scores.at[r][n][e] = term;
            added += term;
          }
        }
        sum[r][half] = sum[r][half] * rescaling + added;
        highest[r][half] = next;
#pragma unroll
        for (int n = 0; n < kWidth / 8; ++n) {
          results.at[r][n][2 * half] *= rescaling;
          results.at[r][n][2 * half + 1] *= rescaling;
        }
      }
    }
  }

  /// Divides results by the sums of their rows, after the last scores; rows that saw no key are 0.
  /// `factor` is what results are multiplied by besides.
  template <int kWidth>
  __device__ void finish(Sums<kRowTiles, kWidth>& results, float factor) {
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float& total = sum[r][half];
        total += __shfl_xor_sync(0xffffffffu, total, 1);
        total += __shfl_xor_sync(0xffffffffu, total, 2);
        const float scale = total == 0.0f ? 0.0f : factor / total;
#pragma unroll
        for (int n = 0; n < kWidth / 8; ++n) {
          results.at[r][n][2 * half] *= scale;
          results.at[r][n][2 * half + 1] *= scale;
        }
      }
    }
  }

  __device__ float log_sum_exp(int r, int half) const {
    if (sum[r][half] == 0.0f) return -INFINITY;
    return kLn2 * (highest[r][half] * to_base_2 + log2f(sum[r][half]));
  }
};

/// Writes log sum exp of the warp's rows, from query `first` on.
template <int kRowTiles>
__device__ inline void store_log_sum_exp(const RunningSoftmax<kRowTiles>& softmax, float* head,
                                         int first, int queries) {
  if ((threadIdx.x & 3) != 0) return;
#pragma unroll
  for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int query = first + Element(r, 0, 2 * half).row;
      if (query < queries) head[query] = softmax.log_sum_exp(r, half);
    }
  }
}

#endif

// Keys and values have one tile each: values arrive while scores are made, and the next keys while
// weights are multiplied by values.
// kIsGeneral: there may be a mask, dropout, or a scale that is not above 0. Without, scores need no
// arithmetic of their own.
template <class T, int kWidth, bool kIsGeneral>
__global__ void __launch_bounds__(kMmaThreads, 2)
    mma_forward_kernel(const __grid_constant__ ForwardProblem<T> problem) {
  wait_for_stream();
#if __CUDA_ARCH__ >= 800
  using Shape = ForwardShape<kWidth>;
  constexpr int kRowTiles = Shape::kRowTiles, kCols = Shape::kCols;
  extern __shared__ __align__(16) unsigned char memory[];
  T* query_tile = reinterpret_cast<T*>(memory);
  T* key_tile = query_tile + Shape::kRows * kPitch<kWidth>;
  T* value_tile = key_tile + kCols * kPitch<kWidth>;

  const ScoreRule& rule = problem.rule;
  const BlockPlace place(rule.heads, problem.tiles);
  const int key_head = place.head / problem.heads_per_key;
  const T* keys = problem.key.head(place.batch, key_head);
  const T* values = problem.value.head(place.batch, key_head);
  const int block_query = query_tile_of(rule, problem.tiles, place) * Shape::kRows;
  const int warp_row = static_cast<int>(threadIdx.x) / 32 * kRowTiles * 16;
  const ScoreTile<T, kRowTiles, kCols, /*kIsKeyMajor=*/false, kIsGeneral> score_tile{
      rule, place.batch, place.head, block_query + warp_row};
  T* own_queries = query_tile + warp_row * kPitch<kWidth>;

  load_tile<Shape::kRows, kWidth>(query_tile, problem.query,
                                  problem.query.head(place.batch, place.head), block_query);
  load_tile<kCols, kWidth>(key_tile, problem.key, keys, 0);
  RunningSoftmax<kRowTiles> softmax(kIsGeneral ? 1.0f : rule.scale_log2);
  Sums<kRowTiles, kWidth> results;
  results.clear();
  const int end = rule.keys_before(block_query + Shape::kRows);
  for (int key = 0; key < end; key += kCols) {
    wait_for_copies();
    __syncthreads();  // keys are here, and the values before have been read
    load_tile<kCols, kWidth>(value_tile, problem.value, values, key);
    Sums<kRowTiles, kCols> scores;
    scores.clear();
    add_row_products<kWidth>(scores, own_queries, key_tile);
    score_tile.finish_scores(scores, key);
    softmax.take(scores, results);
    if constexpr (kIsGeneral) score_tile.drop(scores, key);
    Factors<kRowTiles, kCols> weights;
    round_sums<T>(weights, scores);
    wait_for_copies();
    __syncthreads();  // values are here, and the keys have been read
    if (key + kCols < end) load_tile<kCols, kWidth>(key_tile, problem.key, keys, key + kCols);
    add_products<kWidth>(results, weights, value_tile);
  }
  softmax.finish(results, kIsGeneral && rule.dropout.is_on ? rule.dropout.scale : 1.0f);
  // Made again, so that the loop has the registers.
  const BlockPlace out(rule.heads, problem.tiles);
  const int first = query_tile_of(rule, problem.tiles, out) * Shape::kRows + warp_row;
  store_sums<kWidth>(results, own_queries, problem.output, problem.output.head(out.batch, out.head),
                     first, 0);
  if (problem.log_sum_exp != nullptr) {
    const int64_t matrix = int64_t{out.batch} * rule.heads + out.head;
    store_log_sum_exp(softmax, problem.log_sum_exp + matrix * rule.queries, first, rule.queries);
  }
#endif
}

template <class T, int kWidth, bool kIsGeneral>
bool launch_mma_forward(const AttentionArgs& args) {
  using Shape = ForwardShape<kWidth>;
  constexpr auto kKernel = mma_forward_kernel<T, kWidth, kIsGeneral>;
  if (!prepare_kernel<kKernel>(Shape::kSharedBytes, 80)) return false;
  const int64_t tiles = (args.queries + Shape::kRows - 1) / Shape::kRows;
  const unsigned blocks = block_count(args, args.heads, tiles);
  const auto problem = make_problem<T>(args, tiles);
  launch_kernel(kKernel, {blocks, kMmaThreads, Shape::kSharedBytes}, problem);
  check_launch(kAttention);
  return true;
}

template <class T>
bool run_mma_forward(const AttentionArgs& args) {
  return visit_width(args, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    return needs_general(args) ? launch_mma_forward<T, kWidth, true>(args)
                               : launch_mma_forward<T, kWidth, false>(args);
  });
}

}  // namespace taut::kernels::cuda
