#pragma once
// A call of attention as our kernels take it, with tensor cores and without.

#include "kernels/attention/attention_rows.cuh"
#include "kernels/attention/score_rule.cuh"

namespace taut::kernels::cuda {

template <class T>
struct ForwardProblem {
  Rows<const T> query, key, value;
  Rows<T> output;
  float* log_sum_exp;
  ScoreRule rule;
  int heads_per_key;
  int tiles;  // of queries
};

template <class T>
ForwardProblem<T> make_problem(const AttentionArgs& args, int64_t tiles) {
  return {make_rows<const T>(args.query, args.query_strides, args.queries, args.width),
          make_rows<const T>(args.key, args.key_strides, args.keys, args.width),
          make_rows<const T>(args.value, args.value_strides, args.keys, args.value_width),
          make_rows<T>(args.output, args.output_strides, args.queries, args.value_width),
          args.log_sum_exp,
          ScoreRule(args),
          static_cast<int>(args.heads / args.kv_heads),
          static_cast<int>(tiles)};
}

template <class T>
struct BackwardProblem {
  Rows<const T> query, key, value, grad_output;
  Rows<T> grad_query, grad_key, grad_value;
  const float* log_sum_exp;
  const float* delta;  // rowsum(do o)
  ScoreRule rule;
  int heads_per_key;
  int tiles;  // of rows
};

template <class T>
BackwardProblem<T> make_problem(const AttentionBackwardArgs& args, const float* delta,
                                int64_t tiles) {
  return {make_rows<const T>(args.query, args.query_strides, args.queries, args.width),
          make_rows<const T>(args.key, args.key_strides, args.keys, args.width),
          make_rows<const T>(args.value, args.value_strides, args.keys, args.value_width),
          make_rows<const T>(args.grad_output, args.grad_output_strides, args.queries,
                             args.value_width),
          make_rows<T>(args.grad_query, args.grad_query_strides, args.queries, args.width),
          make_rows<T>(args.grad_key, args.grad_key_strides, args.keys, args.width),
          make_rows<T>(args.grad_value, args.grad_value_strides, args.keys, args.value_width),
          args.log_sum_exp,
          delta,
          ScoreRule(args),
          static_cast<int>(args.heads / args.kv_heads),
          static_cast<int>(tiles)};
}

}  // namespace taut::kernels::cuda
