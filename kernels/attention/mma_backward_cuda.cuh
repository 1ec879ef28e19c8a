#pragma once
// Backward attention on tensor cores; see Note [Flash attention] and Note [Fragments]. Included by
// one file for each dtype.
//
// Both passes are one kernel. With x1, x2 the operands whose rows a block owns, and y1, y2 those it
// walks over:
//                    x1 x2   y1 y2   results
//   queries as rows  q  do   k  v    dq = scale ds k
//   keys as rows     k  v    q  do   dk = scale ds q, dv = p do
// where s = x1 y1^T, dp = x2 y2^T, and the first result is of ds y1, the second of p y2, so that
// scores and weights never leave the registers of the warp whose rows they belong to.

#include "kernels/attention/attention_problem.cuh"
#include "kernels/attention/flash_attention.h"
#include "kernels/attention/mma_scores.cuh"

namespace taut::kernels::cuda {

/// Tiles for rows of up to kWidth elements. With keys as rows there are two results in registers:
/// where they are wide, a block makes kPart columns of each.
template <int kWidthOf, bool kIsKeyMajor>
struct BackwardShape {
  static constexpr int kWidth = kWidthOf;
  static constexpr int kRowTiles = kWidth <= 64 || (!kIsKeyMajor && kWidth <= 128) ? 2 : 1;
  static constexpr int kCols = 32;
  static constexpr int kPart = kIsKeyMajor && kWidth > 128 ? kWidth / 2 : kWidth;
  static constexpr int kParts = kWidth / kPart;
  static constexpr int kRows = kMmaWarps * kRowTiles * 16;
  // Columns arrive while those before are used, as far as 99 KiB of shared memory allow.
  static constexpr int kMostBytes = 99 * 1024;
  static constexpr int kStages = tile_bytes<kWidth>(2 * kRows + 4 * kCols) <= kMostBytes ? 2 : 1;
  static constexpr int kSharedBytes = tile_bytes<kWidth>(2 * kRows + 2 * kStages * kCols);
  static_assert(kSharedBytes <= kMostBytes);
};

#if __CUDA_ARCH__ >= 800 || !defined(__CUDA_ARCH__)

/// The log sum exp that makes p = exp(s - it): of a row that sees no key, all p are 0.
__device__ inline float safe_log_sum_exp_2(float value) {
  return value == -INFINITY ? INFINITY : value * kLog2E;
}

/// log sum exp (to base 2) and rowsum(do o) of the queries of a warp's elements: of its rows, which
/// stay.
template <int kRowTiles>
struct RowStatistics {
  float log_sum_exp_2[kRowTiles][2];
  float delta[kRowTiles][2];

  __device__ RowStatistics(const float* log_sum_exp_row, const float* delta_row, int first,
                           int queries) {
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int query = first + Element(r, 0, 2 * half).row;
        const bool exists = query < queries;
        log_sum_exp_2[r][half] = exists ? safe_log_sum_exp_2(log_sum_exp_row[query]) : INFINITY;
        delta[r][half] = exists ? delta_row[query] : 0.0f;
      }
    }
  }
};

/// The same two numbers for queries as columns travel with the tiles: in the 16 bytes after row i
/// of y1 and y2, which ldmatrix does not read.
template <int kCols, int kWidth, class T>
__device__ inline void load_statistics(T* y1, T* y2, const float* log_sum_exp, const float* delta,
                                       int first, int queries) {
  const int i = static_cast<int>(threadIdx.x);
  if (i >= kCols) return;
  const bool exists = first + i < queries;
  const int at = exists ? first + i : 0;
  copy_async_4(y1 + i * kPitch<kWidth> + kWidth, log_sum_exp + at, exists);
  copy_async_4(y2 + i * kPitch<kWidth> + kWidth, delta + at, exists);
}
template <int kWidth, class T>
__device__ inline float statistic(const T* y, int col) {
  return *reinterpret_cast<const float*>(y + col * kPitch<kWidth> + kWidth);
}

/// Where a block's walk over columns stands: with keys as rows it passes through the queries of
/// each head that shares the keys, otherwise once over the keys.
struct ColumnWalk {
  int first_head;
  int begin;  // column
  int steps_per_head;
  int steps;

  __device__ ColumnWalk(int head, int heads, int first_col, int end_col, int cols) {
    first_head = head;
    begin = first_col / cols * cols;
    steps_per_head = end_col > begin ? (end_col - begin + cols - 1) / cols : 0;
    steps = steps_per_head * heads;
  }
  __device__ int head(int step) const { return first_head + step / steps_per_head; }
  __device__ int col(int step, int cols) const { return begin + step % steps_per_head * cols; }
};

/// Scores become weights p.
template <class Tile, class Scores, class LogSumExp>
__device__ inline void weigh(const Tile& tile, Scores& scores, int first_col, float to_base_2,
                             const LogSumExp& log_sum_exp_2) {
  tile.finish_scores(scores, first_col);
#pragma unroll
  for (int r = 0; r < Tile::kRowTiles; ++r) {
#pragma unroll
    for (int n = 0; n < Tile::kCols / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        scores.at[r][n][e] = exp2_fast(scores.at[r][n][e] * to_base_2 - log_sum_exp_2(r, n, e));
      }
    }
  }
}

/// dp becomes ds, and p the weights that values were multiplied by.
template <class Tile, class Scores, class Delta>
__device__ inline void differentiate(const Tile& tile, Scores& weights, Scores& grads,
                                     int first_col, const Delta& delta) {
  const Dropout& dropout = tile.rule.dropout;
  const bool drops = Tile::kIsGeneral && dropout.is_on;
#pragma unroll
  for (int r = 0; r < Tile::kRowTiles; ++r) {
#pragma unroll
    for (int n = 0; n < Tile::kCols / 8; ++n) {
      const uint32_t bits = drops ? tile.kept(r, n, first_col) : 0;
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        float& weight = weights.at[r][n][e];
        float& grad = grads.at[r][n][e];
        const float factor = !drops ? 1.0f : bits >> e & 1u ? dropout.scale : 0.0f;
        grad = weight * (grad * factor - delta(r, n, e));
        weight *= factor;
      }
    }
  }
}

#endif

template <class T, int kWidth, bool kIsKeyMajor, bool kIsGeneral>
__global__ void __launch_bounds__(kMmaThreads, 2)
    mma_backward_kernel(const __grid_constant__ BackwardProblem<T> problem) {
  wait_for_stream();
#if __CUDA_ARCH__ >= 800
  using Shape = BackwardShape<kWidth, kIsKeyMajor>;
  using Tile = ScoreTile<T, Shape::kRowTiles, Shape::kCols, kIsKeyMajor, kIsGeneral>;
  constexpr int kRows = Shape::kRows, kCols = Shape::kCols;
  constexpr int kPitchOf = kPitch<kWidth>;
  extern __shared__ __align__(16) unsigned char memory[];
  T* x1 = reinterpret_cast<T*>(memory);
  T* x2 = x1 + kRows * kPitchOf;
  T* columns = x2 + kRows * kPitchOf;  // y1 and y2 of each stage

  const ScoreRule& rule = problem.rule;
  const int row_heads = kIsKeyMajor ? rule.heads / problem.heads_per_key : rule.heads;
  const BlockPlace place(row_heads, problem.tiles * Shape::kParts);
  const int part = place.tile % Shape::kParts * Shape::kPart;
  // The tiles with the most to walk over come first: the first keys, the last queries.
  const bool is_reversed = !kIsKeyMajor && rule.is_causal;
  const int tile_of_parts = place.tile / Shape::kParts;
  const int tile = is_reversed ? problem.tiles - 1 - tile_of_parts : tile_of_parts;
  const int block_row = tile * kRows;
  const int warp_row = static_cast<int>(threadIdx.x) / 32 * Shape::kRowTiles * 16;
  const int first_row = block_row + warp_row;

  const Rows<const T>& x1_rows = kIsKeyMajor ? problem.key : problem.query;
  const Rows<const T>& x2_rows = kIsKeyMajor ? problem.value : problem.grad_output;
  const Rows<const T>& y1_rows = kIsKeyMajor ? problem.query : problem.key;
  const Rows<const T>& y2_rows = kIsKeyMajor ? problem.grad_output : problem.value;
  const ColumnWalk walk =
      kIsKeyMajor ? ColumnWalk(place.head * problem.heads_per_key, problem.heads_per_key,
                               rule.is_causal ? block_row : 0, rule.queries, kCols)
                  : ColumnWalk(place.head / problem.heads_per_key, 1, 0,
                               rule.keys_before(block_row + kRows), kCols);
  const auto statistics_at = [&](int head) {
    return (int64_t{place.batch} * rule.heads + head) * int64_t{rule.queries};
  };
  const auto load_columns = [&](int step) {
    T* y1 = columns + step % Shape::kStages * 2 * kCols * kPitchOf;
    T* y2 = y1 + kCols * kPitchOf;
    const int head = walk.head(step), col = walk.col(step, kCols);
    load_tile<kCols, kWidth>(y1, y1_rows, y1_rows.head(place.batch, head), col);
    load_tile<kCols, kWidth>(y2, y2_rows, y2_rows.head(place.batch, head), col);
    if constexpr (kIsKeyMajor) {
      const int64_t at = statistics_at(head);
      load_statistics<kCols, kWidth>(y1, y2, problem.log_sum_exp + at, problem.delta + at, col,
                                     rule.queries);
    }
  };

  load_tile<kRows, kWidth>(x1, x1_rows, x1_rows.head(place.batch, place.head), block_row);
  load_tile<kRows, kWidth>(x2, x2_rows, x2_rows.head(place.batch, place.head), block_row);
  if (Shape::kStages == 2 && walk.steps > 0) load_columns(0);
  const int64_t row_statistics = kIsKeyMajor ? 0 : statistics_at(place.head);
  const RowStatistics<Shape::kRowTiles> of_row(problem.log_sum_exp + row_statistics,
                                               problem.delta + row_statistics, first_row,
                                               kIsKeyMajor ? 0 : rule.queries);
  const float to_base_2 = kIsGeneral ? 1.0f : rule.scale_log2;
  Sums<Shape::kRowTiles, Shape::kPart> first, second;
  first.clear();
  second.clear();
  for (int step = 0; step < walk.steps; ++step) {
    if constexpr (Shape::kStages == 1) {
      __syncthreads();  // the columns before have been read
      load_columns(step);
    }
    wait_for_copies();
    __syncthreads();  // columns are here, and those before have been read
    if (Shape::kStages == 2 && step + 1 < walk.steps) load_columns(step + 1);
    const T* y1 = columns + step % Shape::kStages * 2 * kCols * kPitchOf;
    const T* y2 = y1 + kCols * kPitchOf;
    const int col = walk.col(step, kCols);
    const Tile score_tile{rule, place.batch, kIsKeyMajor ? walk.head(step) : place.head, first_row};
    Sums<Shape::kRowTiles, kCols> weights, grads;
    weights.clear();
    add_row_products<kWidth>(weights, x1 + warp_row * kPitchOf, y1);
    weigh(score_tile, weights, col, to_base_2, [&](int r, int n, int e) {
      return kIsKeyMajor ? safe_log_sum_exp_2(statistic<kWidth>(y1, Element(r, n, e).col))
                         : of_row.log_sum_exp_2[r][e >> 1];
    });
    grads.clear();
    add_row_products<kWidth>(grads, x2 + warp_row * kPitchOf, y2);
    differentiate(score_tile, weights, grads, col, [&](int r, int n, int e) {
      return kIsKeyMajor ? statistic<kWidth>(y2, Element(r, n, e).col) : of_row.delta[r][e >> 1];
    });
    Factors<Shape::kRowTiles, kCols> factors;
    if constexpr (kIsKeyMajor) {
      round_sums<T>(factors, weights);
      add_products<kWidth>(second, factors, y2 + part);
    }
    round_sums<T>(factors, grads);
    add_products<kWidth>(first, factors, y1 + part);
  }
  // Without a step nothing has waited for the rows, into whose place the results go.
  wait_for_copies();
  __syncthreads();
  first.scale(rule.scale);
  const Rows<T>& first_rows = kIsKeyMajor ? problem.grad_key : problem.grad_query;
  store_sums<kWidth>(first, x1 + warp_row * kPitchOf, first_rows,
                     first_rows.head(place.batch, place.head), first_row, part);
  if constexpr (kIsKeyMajor) {
    store_sums<kWidth>(second, x2 + warp_row * kPitchOf, problem.grad_value,
                       problem.grad_value.head(place.batch, place.head), first_row, part);
  }
#endif
}

template <class T, int kWidth, bool kIsKeyMajor, bool kIsGeneral>
bool launch_mma_backward(const AttentionBackwardArgs& args, BackwardProblem<T>& problem) {
  using Shape = BackwardShape<kWidth, kIsKeyMajor>;
  constexpr auto kKernel = mma_backward_kernel<T, kWidth, kIsKeyMajor, kIsGeneral>;
  if (!prepare_kernel<kKernel>(Shape::kSharedBytes, 80)) return false;
  const int64_t tiles =
      ((kIsKeyMajor ? args.keys : args.queries) + Shape::kRows - 1) / Shape::kRows;
  const unsigned blocks =
      block_count(args, kIsKeyMajor ? args.kv_heads : args.heads, tiles * Shape::kParts);
  problem.tiles = static_cast<int>(tiles);
  launch_kernel(kKernel, {blocks, kMmaThreads, Shape::kSharedBytes}, problem);
  check_launch(kAttention);
  return true;
}

template <class T>
bool run_mma_backward(const AttentionBackwardArgs& args, const float* delta) {
  auto problem = make_problem<T>(args, delta, /*tiles=*/0);
  return visit_width(args, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    if (needs_general(args)) {
      return launch_mma_backward<T, kWidth, true, true>(args, problem) &&
             launch_mma_backward<T, kWidth, false, true>(args, problem);
    }
    return launch_mma_backward<T, kWidth, true, false>(args, problem) &&
           launch_mma_backward<T, kWidth, false, false>(args, problem);
  });
}

}  // namespace taut::kernels::cuda
