// Backward attention without tensor cores; see Note [Flash attention] and the table at the top of
// kernels/attention/mma_backward_cuda.cuh, whose names are the same.

#include "kernels/attention/attention_problem.cuh"
#include "kernels/attention/flash_attention.h"
#include "kernels/attention/plain_tile.cuh"

namespace taut::kernels::cuda {
namespace {

// log sum exp (to base 2) and rowsum(do o) of a thread's four rows or columns. Of a query that sees
// no key, all p are 0: exp(s - infinity).
struct QueryStatistics {
  float log_sum_exp_2[4];
  float delta[4];

  template <bool kIsKeyMajor, class Scores>
  __device__ void load(const Scores& scores, const float* log_sum_exp_head,
                       const float* delta_head) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int query = kIsKeyMajor ? scores.query(0, i) : scores.query(i, 0);
      const bool exists = query < scores.rule.queries;
      const float value = exists ? log_sum_exp_head[query] : -INFINITY;
      log_sum_exp_2[i] = value == -INFINITY ? INFINITY : value * kLog2E;
      delta[i] = exists ? delta_head[query] : 0.0f;
    }
  }
};

// Scores and dp become p, as values were multiplied by it, and ds.
template <bool kIsKeyMajor>
__device__ inline void differentiate(PlainSums& weights, PlainSums& grads,
                                     const QueryStatistics& statistics, bool drops, uint32_t kept,
                                     float kept_scale) {
#pragma unroll
  for (int r = 0; r < 4; ++r) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const int i = kIsKeyMajor ? c : r;
      const float weight = exp2f(weights[r][c] - statistics.log_sum_exp_2[i]);
      const float factor = !drops ? 1.0f : kept >> (4 * r + c) & 1u ? kept_scale : 0.0f;
      grads[r][c] = weight * (grads[r][c] * factor - statistics.delta[i]);
      weights[r][c] = weight * factor;
    }
  }
}

template <class T, int kWidth, bool kIsKeyMajor>
__global__ void __launch_bounds__(kPlainThreads)
    plain_backward_kernel(const __grid_constant__ BackwardProblem<T> problem) {
  wait_for_stream();
  constexpr int kChunks = kWidth / kPlainTile;
  __shared__ __align__(16) PlainMemory memory;
  const PlainThread thread;
  const ScoreRule& rule = problem.rule;
  const int row_heads = kIsKeyMajor ? rule.heads / problem.heads_per_key : rule.heads;
  const BlockPlace place(row_heads, problem.tiles);
  const bool is_reversed = !kIsKeyMajor && rule.is_causal;
  const int first_row = (is_reversed ? problem.tiles - 1 - place.tile : place.tile) * kPlainTile;

  const Rows<const T>& x1_rows = kIsKeyMajor ? problem.key : problem.query;
  const Rows<const T>& x2_rows = kIsKeyMajor ? problem.value : problem.grad_output;
  const Rows<const T>& y1_rows = kIsKeyMajor ? problem.query : problem.key;
  const Rows<const T>& y2_rows = kIsKeyMajor ? problem.grad_output : problem.value;
  const T* x1 = x1_rows.head(place.batch, place.head);
  const T* x2 = x2_rows.head(place.batch, place.head);
  const int first_head =
      kIsKeyMajor ? place.head * problem.heads_per_key : place.head / problem.heads_per_key;
  const int end_head = first_head + (kIsKeyMajor ? problem.heads_per_key : 1);
  const int begin = kIsKeyMajor && rule.is_causal ? first_row : 0;
  const int end = kIsKeyMajor ? rule.queries : rule.keys_before(first_row + kPlainTile);

  float first[kChunks][4][4], second[kIsKeyMajor ? kChunks : 1][4][4];
  clear_results(first);
  clear_results(second);
  for (int y_head = first_head; y_head < end_head; ++y_head) {
    const T* y1 = y1_rows.head(place.batch, y_head);
    const T* y2 = y2_rows.head(place.batch, y_head);
    const int query_head = kIsKeyMajor ? y_head : place.head;
    const int64_t at = (int64_t{place.batch} * rule.heads + query_head) * int64_t{rule.queries};
    for (int col = begin; col < end; col += kPlainTile) {
      const PlainScores<T, kIsKeyMajor> tile{rule, thread, place.batch, query_head, first_row, col};
      PlainSums weights, grads;
      plain_row_products(weights, memory, thread, x1_rows, x1, first_row, y1_rows, y1, col);
      plain_row_products(grads, memory, thread, x2_rows, x2, first_row, y2_rows, y2, col);
      tile.finish_scores(weights);
      QueryStatistics statistics;
      statistics.load<kIsKeyMajor>(tile, problem.log_sum_exp + at, problem.delta + at);
      const bool drops = rule.dropout.is_on;
      differentiate<kIsKeyMajor>(weights, grads, statistics, drops, drops ? tile.kept() : 0u,
                                 rule.dropout.scale);
      if constexpr (kIsKeyMajor) {
        store_weights(memory, thread, weights);
        add_plain_products(second, memory, thread, y2_rows, y2, col);
        __syncthreads();  // the weights have been read
      }
      store_weights(memory, thread, grads);
      add_plain_products(first, memory, thread, y1_rows, y1, col);
    }
  }
  const float scales[4] = {rule.scale, rule.scale, rule.scale, rule.scale};
  const Rows<T>& first_rows = kIsKeyMajor ? problem.grad_key : problem.grad_query;
  store_results(first, scales, thread, first_rows, first_rows.head(place.batch, place.head),
                first_row);
  if constexpr (kIsKeyMajor) {
    const float ones[4] = {1.0f, 1.0f, 1.0f, 1.0f};
    store_results(second, ones, thread, problem.grad_value,
                  problem.grad_value.head(place.batch, place.head), first_row);
  }
}

template <class T, int kWidth, bool kIsKeyMajor>
void launch_plain_backward(const AttentionBackwardArgs& args, const float* delta) {
  const int64_t rows = kIsKeyMajor ? args.keys : args.queries;
  const int64_t tiles = (rows + kPlainTile - 1) / kPlainTile;
  const auto problem = make_problem<T>(args, delta, tiles);
  const unsigned blocks = block_count(args, kIsKeyMajor ? args.kv_heads : args.heads, tiles);
  launch_kernel(plain_backward_kernel<T, kWidth, kIsKeyMajor>, {blocks, kPlainThreads}, problem);
  check_launch(kAttention);
}

}  // namespace

void run_plain_attention_backward(const AttentionBackwardArgs& args, const float* delta) {
  visit_plain(args, [&](auto tag, auto width) {
    using T = typename decltype(tag)::type;
    constexpr int kWidth = decltype(width)::value;
    launch_plain_backward<T, kWidth, true>(args, delta);
    launch_plain_backward<T, kWidth, false>(args, delta);
  });
}

}  // namespace taut::kernels::cuda
