#pragma once
// Attention in one kernel, on devices that have it.

#include "taut/core/tensor.h"

namespace taut::nn::functional {

/// What scaled_dot_product_attention was asked for, after its checks.
struct AttentionCall {
  const Tensor& query;
  const Tensor& key;
  const Tensor& value;
  const Tensor& mask;  // may be undefined
  double dropout_p;
  bool is_causal;
  double scale;
  bool enable_gqa = false;  // heads of key and value are repeated to as many as query has
};

/// Whether the query's device has a kernel for the call.
bool has_fused_attention(const AttentionCall& call);

/// The call by that kernel, on the tape.
Tensor fused_attention(const AttentionCall& call);

/// The output and the weights it was made with: (..., queries, keys), after dropout.
struct WeightedAttention {
  Tensor output;
  Tensor weights;
};

/// The call as products and a softmax.
WeightedAttention composed_attention(const AttentionCall& call);

}  // namespace taut::nn::functional
