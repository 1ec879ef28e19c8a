#pragma once
// Scaled dot-product attention without storing the scores: memory grows with the lengths, not with
// their product. Dao et al., "FlashAttention" (2022) and "FlashAttention-2" (2023).

#include <cstdint>

#include "kernels/api/precision.h"
#include "kernels/api/random_place.h"
#include "taut/base/macros.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// Where the rows of (batch, heads, length, width) lie: strides of the first three dims, in
/// elements; rows themselves are contiguous.
struct RowStrides {
  int64_t batch = 0;
  int64_t head = 0;
  int64_t row = 0;
};

/// What forward and backward share. With s = scale q k^T (+ mask, -inf where it is false), p =
/// softmax(s) over the keys:  o = dropped(p) v.
/// Head h of the queries reads head h / (heads / kv_heads) of keys and values. With is_causal,
/// query i sees keys 0..i. A row that sees no key gives zeros. Dropout: p[b][h][i][j] is kept iff
/// word < (1 - dropout_p) 2^32, as element ((b heads + h) queries
/// + i) keys + j of the stream from `random` with narrow words (kernels/api/random.h), and
/// then divided by 1 - dropout_p.
/// dtype: float32, float16 or bfloat16; all sums are in float32. width <= 256, value_width <= 256.
struct AttentionShape {
  DType dtype = DType::float32;
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t queries = 0;
  int64_t keys = 0;
  int64_t width = 0;
  int64_t value_width = 0;
  double scale = 1.0;
  bool is_causal = false;
  // (batch, heads, queries, keys) with strides of 0 where it broadcasts; bool or of the dtype; null
  // for none. Not together with is_causal.
  const void* mask = nullptr;
  DType mask_dtype = DType::bool_;
  int64_t mask_strides[4] = {};
  double dropout_p = 0.0;
  RandomPlace random;
  Float32Precision precision = Float32Precision::highest;  // of float32 products
};

struct AttentionArgs : AttentionShape {
  const void* query = nullptr;
  const void* key = nullptr;
  const void* value = nullptr;
  void* output = nullptr;
  RowStrides query_strides, key_strides, value_strides, output_strides;
  float* log_sum_exp = nullptr;  // (batch, heads, queries) contiguous: log sum exp(s); may be null
};

/// dv = dropped(p)^T do, ds = p (dropped(do v^T) - rowsum(do o)), dq = scale ds k, dk = scale ds^T
/// q, where heads that share a key sum their gradients.
struct AttentionBackwardArgs : AttentionShape {
  const void* query = nullptr;
  const void* key = nullptr;
  const void* value = nullptr;
  const void* output = nullptr;        // of the forward
  const float* log_sum_exp = nullptr;  // of the forward
  const void* grad_output = nullptr;
  void* grad_query = nullptr;
  void* grad_key = nullptr;
  void* grad_value = nullptr;
  RowStrides query_strides, key_strides, value_strides, output_strides, grad_output_strides;
  RowStrides grad_query_strides, grad_key_strides, grad_value_strides;
  bool must_repeat = false;  // the same bits in every run
};

struct AttentionKernels {
  void (*forward)(const AttentionArgs& args) = nullptr;
  void (*backward)(const AttentionBackwardArgs& args) = nullptr;
};

AttentionKernels attention_kernels_cuda();

}  // namespace taut::kernels
