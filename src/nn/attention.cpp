#include "taut/nn/functional/attention.h"

#include <cmath>
#include <limits>

#include "src/ops/autocast.h"
#include "taut/nn/functional/softmax.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Tensor& attn_mask, double dropout_p, bool is_causal,
                                    std::optional<double> scale, bool enable_gqa) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype(
        [](const auto&... x) { return scaled_dot_product_attention(x...); }, query, key, value,
        attn_mask.defined() && attn_mask.dtype() == kBool ? attn_mask : ops::lowered(attn_mask),
        dropout_p, is_causal, scale, enable_gqa);
  }
  const char* op = "scaled_dot_product_attention";
  TAUT_CHECK(query.dim() >= 2 && key.dim() >= 2 && value.dim() >= 2, ShapeError, op,
             ": expected at least 2 dims; got shapes ", query.shape(), ", ", key.shape(), " and ",
             value.shape());
  TAUT_CHECK(query.size(-1) == key.size(-1) && key.size(-2) == value.size(-2), ShapeError, op,
             ": sizes differ; got query ", query.shape(), ", key ", key.shape(), " and value ",
             value.shape());
  TAUT_CHECK(!is_causal || !attn_mask.defined(), ValueError, op,
             ": is_causal and attn_mask exclude each other");
  Tensor keys = key, values = value;
  if (enable_gqa) {
    TAUT_CHECK(query.dim() >= 3 && key.size(-3) > 0 && query.size(-3) % key.size(-3) == 0,
               ShapeError, op, ": the heads of query must be a multiple of those of key; got ",
               query.shape(), " and ", key.shape());
    const int64_t times = query.size(-3) / key.size(-3);
    keys = repeat_interleave(key, times, -3);
    values = repeat_interleave(value, query.size(-3) / value.size(-3), -3);
  }
  const double factor = scale.value_or(1.0 / std::sqrt(static_cast<double>(query.size(-1))));
  // The scale goes to the query, which is smaller than the scores.
  Tensor scores = matmul(query * factor, keys.transpose(-2, -1));
  constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
  if (is_causal) {
    const Tensor visible =
        tril(ones({query.size(-2), key.size(-2)}, TensorOptions(kBool).device(query.device())));
    scores = masked_fill(scores, logical_not(visible), kMinusInfinity);
  } else if (attn_mask.defined() && attn_mask.dtype() == kBool) {
    scores = masked_fill(scores, logical_not(attn_mask), kMinusInfinity);
  } else if (attn_mask.defined()) {
    scores = scores + attn_mask;
  }
  Tensor weights = softmax(scores, -1);
  if (attn_mask.defined() && attn_mask.dtype() == kBool) {
    // A row that sees nothing gives zeros, as in PyTorch, and not NaN.
    const Tensor sees_nothing = logical_not(any(attn_mask, {-1}, /*keepdim=*/true));
    weights = masked_fill(weights, sees_nothing, 0.0);
  }
  if (dropout_p > 0) weights = dropout(weights, dropout_p, /*training=*/true);
  return matmul(weights, values);
}

}  // namespace taut::nn::functional
