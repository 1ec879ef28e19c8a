// Forward attention without tensor cores; see Note [Flash attention].

#include "kernels/api/row_team.cuh"
#include "kernels/attention/attention_problem.cuh"
#include "kernels/attention/flash_attention.h"
#include "kernels/attention/plain_tile.cuh"

namespace taut::kernels::cuda {
namespace {

// The running softmax of a thread's four rows, in step with the 15 threads that have other columns
// of them.
struct PlainSoftmax {
  float highest[4];
  float sum[4];

  __device__ PlainSoftmax() {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      highest[r] = -INFINITY;
      sum[r] = 0.0f;
    }
  }

  // Turns scores into exponentials relative to the new maximum, and results with them.
  template <int kChunks>
  __device__ void take(PlainSums& scores, float (&results)[kChunks][4][4]) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      float next = fmaxf(fmaxf(scores[r][0], scores[r][1]), fmaxf(scores[r][2], scores[r][3]));
      next = fmaxf(highest[r], fold_lanes(next, Max{}, 16));
      // A row that has seen no key yet has only zeros, also relative to 0.
      const float base = next == -INFINITY ? 0.0f : next;
      const float rescaling = exp2f(highest[r] - base);
      float added = 0.0f;
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        scores[r][c] = exp2f(scores[r][c] - base);
        added += scores[r][c];
      }
      sum[r] = sum[r] * rescaling + fold_lanes(added, Sum{}, 16);
      highest[r] = next;
#pragma unroll
      for (int chunk = 0; chunk < kChunks; ++chunk) {
#pragma unroll
        for (int c = 0; c < 4; ++c) results[chunk][r][c] *= rescaling;
      }
    }
  }
};

template <class T, int kWidth>
__global__ void __launch_bounds__(kPlainThreads)
    plain_forward_kernel(const __grid_constant__ ForwardProblem<T> problem) {
  wait_for_stream();
  constexpr int kChunks = kWidth / kPlainTile;
  __shared__ __align__(16) PlainMemory memory;
  const PlainThread thread;
  const ScoreRule& rule = problem.rule;
  const BlockPlace place(rule.heads, problem.tiles);
  const int key_head = place.head / problem.heads_per_key;
  const T* queries = problem.query.head(place.batch, place.head);
  const T* keys = problem.key.head(place.batch, key_head);
  const T* values = problem.value.head(place.batch, key_head);
  const int first_query = query_tile_of(rule, problem.tiles, place) * kPlainTile;

  PlainSoftmax softmax;
  float results[kChunks][4][4];
  clear_results(results);
  const int end = rule.keys_before(first_query + kPlainTile);
  for (int first_key = 0; first_key < end; first_key += kPlainTile) {
    PlainSums scores;
    plain_row_products(scores, memory, thread, problem.query, queries, first_query, problem.key,
                       keys, first_key);
    const PlainScores<T, false> tile_scores{rule,       thread,      place.batch,
                                            place.head, first_query, first_key};
    tile_scores.finish_scores(scores);
    softmax.take(scores, results);
    if (rule.dropout.is_on) {
      const uint32_t bits = tile_scores.kept();
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        if ((bits >> i & 1u) == 0) scores[i / 4][i % 4] = 0.0f;
      }
    }
    store_weights(memory, thread, scores);
    add_plain_products(results, memory, thread, problem.value, values, first_key);
  }
  const float kept_scale = rule.dropout.is_on ? rule.dropout.scale : 1.0f;
  float factor[4];
#pragma unroll
  for (int r = 0; r < 4; ++r)
    factor[r] = softmax.sum[r] == 0.0f ? 0.0f : kept_scale / softmax.sum[r];
  store_results(results, factor, thread, problem.output,
                problem.output.head(place.batch, place.head), first_query);
  if (problem.log_sum_exp == nullptr || thread.x != 0) return;
  const int64_t matrix = int64_t{place.batch} * rule.heads + place.head;
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const int query = first_query + thread.row(r);
    if (query >= rule.queries) continue;
    problem.log_sum_exp[matrix * rule.queries + query] =
        softmax.sum[r] == 0.0f ? -INFINITY : kLn2 * (softmax.highest[r] + log2f(softmax.sum[r]));
  }
}

template <class T, int kWidth>
void launch_plain_forward(const AttentionArgs& args) {
  const int64_t tiles = (args.queries + kPlainTile - 1) / kPlainTile;
  const auto problem = make_problem<T>(args, tiles);
  launch_kernel(plain_forward_kernel<T, kWidth>,
                {block_count(args, args.heads, tiles), kPlainThreads}, problem);
  check_launch(kAttention);
}

}  // namespace

void run_plain_attention(const AttentionArgs& args) {
  visit_plain(args, [&](auto tag, auto width) {
    launch_plain_forward<typename decltype(tag)::type, decltype(width)::value>(args);
  });
}

}  // namespace taut::kernels::cuda
