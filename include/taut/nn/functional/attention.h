#pragma once
// Attention.

#include <optional>

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

}  // namespace taut::nn::functional
