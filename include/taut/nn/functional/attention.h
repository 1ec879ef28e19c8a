#pragma once
// Attention.

#include <cstdint>
#include <optional>
#include <utility>

#include "taut/core/tensor.h"

namespace taut::nn::functional {

/// softmax(query key^T * scale + mask) value over the last two dims: query (..., L, E), key (...,
/// S, E), value (..., S, V) to (..., L, V). attn_mask, which broadcasts to (..., L, S), is bool
/// (true: takes part) or is added; is_causal lets position i see positions up to i. scale is 1 /
/// sqrt(E) unless given. dropout_p drops weights whenever it is above 0: pass 0 outside training.
/// With enable_gqa the heads (dim -3) of key and value are repeated to as many as query has.
/// Vaswani et al., Attention Is All You Need, 2017. @throws ValueError for both a mask and
/// is_causal.
TAUT_API Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key,
                                             const Tensor& value,
                                             const Tensor& attn_mask = Tensor(),
                                             double dropout_p = 0.0, bool is_causal = false,
                                             std::optional<double> scale = {},
                                             bool enable_gqa = false);

/// The parameters of multi_head_attention_forward, for queries of E features. The weights of the
/// three projections are one tensor, those of query, key and value one below the other, or three.
struct MultiHeadParameters {
  Tensor in_proj_weight;  // (3 E, E); undefined when there are three
  Tensor q_proj_weight;   // (E, E)
  Tensor k_proj_weight;   // (E, features of key)
  Tensor v_proj_weight;   // (E, features of value)
  Tensor in_proj_bias;    // (3 E,) or undefined
  Tensor bias_k;          // (1, 1, E): one more key and value behind all others; both or neither
  Tensor bias_v;
  Tensor out_proj_weight;  // (E, E)
  Tensor out_proj_bias;    // (E,) or undefined
};

struct MultiHeadOptions {
  bool batch_first = false;
  double dropout_p = 0.0;      // of weights that are dropped; pass 0 outside training
  bool add_zero_attn = false;  // one more key and value of zeros
  Tensor key_padding_mask;     // (batch, S), or (S,) without a batch
  Tensor attn_mask;            // (L, S) or (batch * num_heads, L, S)
  bool is_causal = false;      // position i sees positions up to i
  bool need_weights = true;    // without them, scaled_dot_product_attention never makes any
  bool average_attn_weights = true;
  Tensor static_k;  // (batch * num_heads, S, E / num_heads): in place of the
  Tensor static_v;  // projected key and value
};

/// Attention of num_heads heads between projections: query (L, batch, E), key (S, batch, features)
/// and value (S, batch, features), batch first if told so, or all without a batch. Gives the
/// output, like query, and the weights, (batch, L, S) or for each head (batch, num_heads, L, S);
/// undefined unless needed. Masks are the other way round than in scaled_dot_product_attention:
/// bool ones are true where nothing is seen; floating ones are added. is_causal needs no attn_mask;
/// with one it is a hint that the mask is causal, and the mask may be left unread. A query that
/// sees nothing gives zeros.
/// @throws ShapeError, DTypeError or ValueError for tensors that do not go together.
TAUT_API std::pair<Tensor, Tensor> multi_head_attention_forward(
    const Tensor& query, const Tensor& key, const Tensor& value, int64_t num_heads,
    const MultiHeadParameters& parameters, const MultiHeadOptions& options = {});

}  // namespace taut::nn::functional
