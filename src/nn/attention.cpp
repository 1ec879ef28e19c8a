#include "taut/nn/functional/attention.h"

#include <cmath>
#include <limits>

#include "src/nn/fused_attention.h"
#include "src/ops/autocast.h"
#include "src/ops/dispatch.h"
#include "taut/nn/functional/softmax.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {

namespace {

// Where a mask hides all keys, as (..., queries, 1).
Tensor rows_without_keys(const Tensor& mask) {
  if (mask.dtype() == kBool) return logical_not(any(mask, {-1}, /*keepdim=*/true));
  return eq(amax(mask.detach(), {-1}, /*keepdim=*/true), -std::numeric_limits<double>::infinity());
}

constexpr const char* kOp = "scaled_dot_product_attention";

void check_operands(const Tensor& query, const Tensor& key, const Tensor& value) {
  TAUT_CHECK(query.dim() >= 2 && key.dim() >= 2 && value.dim() >= 2, ShapeError, kOp,
             ": expected at least 2 dims; got shapes ", query.shape(), ", ", key.shape(), " and ",
             value.shape());
  ops::check_same_device(kOp, query, key);
  ops::check_same_device(kOp, query, value);
  TAUT_CHECK(
      query.is_floating_point() && key.dtype() == query.dtype() && value.dtype() == query.dtype(),
      DTypeError, kOp, ": expected one floating dtype; got ", query.dtype(), ", ", key.dtype(),
      " and ", value.dtype());
  TAUT_CHECK(query.size(-1) == key.size(-1) && key.size(-2) == value.size(-2), ShapeError, kOp,
             ": sizes differ; got query ", query.shape(), ", key ", key.shape(), " and value ",
             value.shape());
}

Dims without_last_two(const Tensor& tensor) {
  Dims shape;
  for (int i = 0; i + 2 < tensor.dim(); ++i) shape.push_back(tensor.shape()[i]);
  return shape;
}

// It is broadcast to the scores, of (..., queries, keys).
void check_mask(const Tensor& query, const Tensor& key, const Tensor& mask, bool enable_gqa) {
  ops::check_same_device(kOp, query, mask);
  TAUT_CHECK(mask.dtype() == kBool || mask.is_floating_point(), DTypeError, kOp,
             ": expected a mask of bool or floating dtype; got ", mask.dtype());
  const Dims batch = without_last_two(query);
  Dims scores = enable_gqa ? batch : broadcast_shapes(kOp, batch, without_last_two(key));
  scores.push_back(query.size(-2));
  scores.push_back(key.size(-2));
  mask.layout().broadcast_to(kOp, scores);  // throws unless it fits
}

}  // namespace

WeightedAttention composed_attention(const AttentionCall& call) {
  const Tensor& query = call.query;
  const Tensor& attn_mask = call.mask;
  Tensor keys = call.key, values = call.value;
  if (call.enable_gqa) {
    const int64_t times = query.size(-3) / keys.size(-3);
    keys = repeat_interleave(keys, times, -3);
    values = repeat_interleave(values, query.size(-3) / values.size(-3), -3);
  }
  // The scale goes to the query, which is smaller than the scores.
  Tensor scores = matmul(query * call.scale, keys.transpose(-2, -1));
  constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
  if (call.is_causal) {
    const Tensor visible =
        tril(ones({query.size(-2), keys.size(-2)}, TensorOptions(kBool).device(query.device())));
    scores = masked_fill(scores, logical_not(visible), kMinusInfinity);
  } else if (attn_mask.defined() && attn_mask.dtype() == kBool) {
    scores = masked_fill(scores, logical_not(attn_mask), kMinusInfinity);
  } else if (attn_mask.defined()) {
    scores = scores + attn_mask;
  }
  Tensor weights;
  if (attn_mask.defined() && scores.size(-1) > 0) {
    // A row that sees nothing gives zeros, as in PyTorch, and not NaN; so do its gradients, since
    // its softmax is made of other scores.
    const Tensor sees_nothing = rows_without_keys(attn_mask);
    weights = masked_fill(softmax(masked_fill(scores, sees_nothing, 0.0), -1), sees_nothing, 0.0);
  } else {
    weights = softmax(scores, -1);
  }
  if (call.dropout_p > 0) weights = dropout(weights, call.dropout_p, /*training=*/true);
  return {matmul(weights, values), weights};
}

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Tensor& attn_mask, double dropout_p, bool is_causal,
                                    std::optional<double> scale, bool enable_gqa) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype(
        [](const auto&... x) { return scaled_dot_product_attention(x...); }, query, key, value,
        attn_mask.defined() && attn_mask.dtype() == kBool ? attn_mask : ops::lowered(attn_mask),
        dropout_p, is_causal, scale, enable_gqa);
  }
  check_operands(query, key, value);
  if (attn_mask.defined()) check_mask(query, key, attn_mask, enable_gqa);
  TAUT_CHECK(dropout_p >= 0 && dropout_p <= 1, ValueError, kOp,
             ": dropout_p must be in [0, 1]; got ", dropout_p);
  TAUT_CHECK(!is_causal || !attn_mask.defined(), ValueError, kOp,
             ": is_causal and attn_mask exclude each other");
  if (enable_gqa) {
    TAUT_CHECK(query.dim() >= 3 && key.size(-3) > 0 && query.size(-3) % key.size(-3) == 0,
               ShapeError, kOp, ": the heads of query must be a multiple of those of key; got ",
               query.shape(), " and ", key.shape());
  }
  const double factor = scale.value_or(1.0 / std::sqrt(static_cast<double>(query.size(-1))));
  const AttentionCall call{query, key, value, attn_mask, dropout_p, is_causal, factor, enable_gqa};
  const bool has_equal_heads =
      enable_gqa || query.dim() < 4 || (key.dim() == 4 && query.size(1) == key.size(1));
  return has_equal_heads && has_fused_attention(call) ? fused_attention(call)
                                                      : composed_attention(call).output;
}

}  // namespace taut::nn::functional
