#include <cmath>
#include <limits>
#include <vector>

#include "src/nn/fused_attention.h"
#include "src/ops/dispatch.h"
#include "taut/nn/functional/attention.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {
namespace {

constexpr const char* kOp = "multi_head_attention_forward";
constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

struct Sizes {
  int64_t batch, queries, keys, embed_dim, heads;
  int64_t width() const { return embed_dim / heads; }
};

// Checks -----------------------------------------------------------------------------------------

void check_ranks(const Tensor& query, const Tensor& key, const Tensor& value) {
  ops::check_defined(kOp, "query", query);
  ops::check_defined(kOp, "key", key);
  ops::check_defined(kOp, "value", value);
  TAUT_CHECK(query.dim() == 2 || query.dim() == 3, ShapeError, kOp,
             ": query must have 3 dims, or 2 without a batch; got shape ", query.shape());
  TAUT_CHECK(key.dim() == query.dim() && value.dim() == query.dim(), ShapeError, kOp,
             ": query, key and value must have as many dims; got shapes ", query.shape(), ", ",
             key.shape(), " and ", value.shape());
}

void check_features(const char* argument, const Tensor& tensor, const Tensor& weight) {
  TAUT_CHECK(weight.dim() == 2 && tensor.size(-1) == weight.size(1), ShapeError, kOp, ": ",
             argument, " of shape ", tensor.shape(), " does not go with a weight of shape ",
             weight.shape(), "; expected ", weight.shape().back(), " features");
}

void check_parameters(const MultiHeadParameters& parameters) {
  const bool is_packed = parameters.in_proj_weight.defined();
  TAUT_CHECK(
      is_packed || (parameters.q_proj_weight.defined() && parameters.k_proj_weight.defined() &&
                    parameters.v_proj_weight.defined()),
      ValueError, kOp,
      ": expected in_proj_weight, or q_proj_weight, k_proj_weight and v_proj_weight");
  ops::check_defined(kOp, "out_proj_weight", parameters.out_proj_weight);
  TAUT_CHECK(parameters.bias_k.defined() == parameters.bias_v.defined(), ValueError, kOp,
             ": bias_k and bias_v go together; got one of them");
}

// The weights that key and value meet, or the one weight of all three.
const Tensor& weight_of(const Tensor& packed, const Tensor& own) {
  return packed.defined() ? packed : own;
}

int64_t embed_dim_of(const MultiHeadParameters& parameters) {
  const Tensor& packed = parameters.in_proj_weight;
  if (!packed.defined()) return parameters.q_proj_weight.size(0);
  TAUT_CHECK(packed.dim() == 2 && packed.size(0) == 3 * packed.size(1), ShapeError, kOp,
             ": in_proj_weight must have the shape (3 E, E); got ", packed.shape());
  return packed.size(1);
}

void check_bias(const char* name, const Tensor& bias, const Dims& expected) {
  TAUT_CHECK(!bias.defined() || bias.shape() == expected, ShapeError, kOp, ": ", name,
             " has shape ", bias.shape(), "; expected ", expected);
}

void check_static(const char* name, const Tensor& tensor, const Tensor& added, const Sizes& sizes) {
  if (!tensor.defined()) return;
  TAUT_CHECK(!added.defined(), ValueError, kOp, ": ", name,
             " takes the place of a projection and cannot have a bias added");
  const Dims expected{sizes.batch * sizes.heads, sizes.keys, sizes.width()};
  TAUT_CHECK(tensor.shape() == expected, ShapeError, kOp, ": ", name, " has shape ", tensor.shape(),
             "; expected ", expected);
}

Sizes checked_sizes(const Tensor& query, const Tensor& key, const Tensor& value, int64_t num_heads,
                    const MultiHeadParameters& parameters, const MultiHeadOptions& options) {
  const int batch_dim = options.batch_first ? 0 : 1, length_dim = 1 - batch_dim;
  const Sizes sizes{query.size(batch_dim), query.size(length_dim),
                    options.static_k.defined() && options.static_k.dim() == 3
                        ? options.static_k.size(1)
                        : key.size(length_dim),
                    embed_dim_of(parameters), num_heads};
  TAUT_CHECK(num_heads > 0 && sizes.embed_dim % num_heads == 0, ValueError, kOp,
             ": the features must be divisible by num_heads; got ", sizes.embed_dim, " and ",
             num_heads);
  const Tensor& packed = parameters.in_proj_weight;
  check_features("query", query, weight_of(packed, parameters.q_proj_weight));
  check_features("key", key, weight_of(packed, parameters.k_proj_weight));
  check_features("value", value, weight_of(packed, parameters.v_proj_weight));
  TAUT_CHECK(key.size(batch_dim) == sizes.batch && value.size(batch_dim) == sizes.batch, ShapeError,
             kOp, ": query, key and value must have one batch size; got ", sizes.batch, ", ",
             key.size(batch_dim), " and ", value.size(batch_dim));
  TAUT_CHECK(key.size(length_dim) == value.size(length_dim), ShapeError, kOp,
             ": key and value must have one length; got ", key.size(length_dim), " and ",
             value.size(length_dim));
  check_bias("in_proj_bias", parameters.in_proj_bias, {3 * sizes.embed_dim});
  check_bias("bias_k", parameters.bias_k, {1, 1, sizes.embed_dim});
  check_bias("bias_v", parameters.bias_v, {1, 1, sizes.embed_dim});
  check_static("static_k", options.static_k, parameters.bias_k, sizes);
  check_static("static_v", options.static_v, parameters.bias_v, sizes);
  return sizes;
}

void check_mask_dtype(const char* name, const Tensor& mask) {
  TAUT_CHECK(mask.dtype() == kBool || mask.is_floating_point(), DTypeError, kOp, ": ", name,
             " must be bool or floating; got ", mask.dtype());
}

void check_masks(const MultiHeadOptions& options, bool is_batched, const Sizes& sizes) {
  if (const Tensor& mask = options.attn_mask; mask.defined()) {
    check_mask_dtype("attn_mask", mask);
    const Dims one{sizes.queries, sizes.keys};
    const Dims each{sizes.batch * sizes.heads, sizes.queries, sizes.keys};
    TAUT_CHECK(mask.shape() == one || mask.shape() == each, ShapeError, kOp,
               ": attn_mask has shape ", mask.shape(), "; expected ", one, ", or ", each, " for ",
               sizes.batch, " times ", sizes.heads, " heads");
  }
  if (const Tensor& mask = options.key_padding_mask; mask.defined()) {
    check_mask_dtype("key_padding_mask", mask);
    const Dims expected = is_batched ? Dims{sizes.batch, sizes.keys} : Dims{sizes.keys};
    TAUT_CHECK(mask.shape() == expected, ShapeError, kOp, ": key_padding_mask has shape ",
               mask.shape(), "; expected ", expected);
  }
}

// Projections ------------------------------------------------------------------------------------

// Query, key and value: (batch, length, E) or (length, batch, E), then in heads of
// (batch, heads, length, width).
struct Projected {
  Tensor query, key, value;
};

Tensors split_bias(const Tensor& bias, const std::vector<int64_t>& sizes) {
  return bias.defined() ? split(bias, sizes) : Tensors(sizes.size());
}

// One product for what is projected from one tensor: the three of self-attention, or key and value.
Projected project(const Tensor& query, const Tensor& key, const Tensor& value,
                  const MultiHeadParameters& parameters, int64_t embed_dim) {
  const Tensor& weight = parameters.in_proj_weight;
  const Tensor& bias = parameters.in_proj_bias;
  const bool key_is_value = key.impl() == value.impl();
  if (weight.defined() && key_is_value && query.impl() == key.impl()) {
    const Tensors parts = split(linear(query, weight, bias), embed_dim, -1);
    return {parts[0], parts[1], parts[2]};
  }
  if (weight.defined() && key_is_value) {
    const std::vector<int64_t> rows{embed_dim, 2 * embed_dim};
    const Tensors weights = split(weight, rows), biases = split_bias(bias, rows);
    const Tensors parts = split(linear(key, weights[1], biases[1]), embed_dim, -1);
    return {linear(query, weights[0], biases[0]), parts[0], parts[1]};
  }
  const std::vector<int64_t> rows(3, embed_dim);
  const Tensors weights =
      weight.defined()
          ? split(weight, rows)
          : Tensors{parameters.q_proj_weight, parameters.k_proj_weight, parameters.v_proj_weight};
  const Tensors biases = split_bias(bias, rows);
  return {linear(query, weights[0], biases[0]), linear(key, weights[1], biases[1]),
          linear(value, weights[2], biases[2])};
}

Tensor in_heads(const Tensor& tensor, const Sizes& sizes, bool batch_first) {
  const Tensor heads = tensor.view({tensor.size(0), tensor.size(1), sizes.heads, sizes.width()});
  return batch_first ? heads.permute({0, 2, 1, 3}) : heads.permute({1, 2, 0, 3});
}

Tensor joined_heads(const Tensor& heads, const Sizes& sizes, bool batch_first) {
  return batch_first
             ? heads.permute({0, 2, 1, 3}).reshape({sizes.batch, sizes.queries, sizes.embed_dim})
             : heads.permute({2, 0, 1, 3}).reshape({sizes.queries, sizes.batch, sizes.embed_dim});
}

// Keys or values with those behind them that are the same for all of the batch.
Tensor with_added(const Tensor& heads, const Tensor& bias, bool add_zeros, const Sizes& sizes) {
  const Dims one{sizes.batch, sizes.heads, 1, sizes.width()};
  Tensors parts{heads};
  if (bias.defined()) {
    parts.push_back(to(bias, heads.dtype()).view({1, sizes.heads, 1, sizes.width()}).expand(one));
  }
  if (add_zeros) parts.push_back(zeros(one, heads.options()));
  return parts.size() == 1 ? heads : cat(parts, 2);
}

// Masks ------------------------------------------------------------------------------------------

// A mask in the form that is added to scores.
Tensor additive(const Tensor& mask, DType dtype) {
  if (mask.dtype() != kBool) return to(mask, dtype);
  return masked_fill(zeros(mask.shape(), TensorOptions(dtype).device(mask.device())), mask,
                     kMinusInfinity);
}

// A mask with columns for the keys that were added, which all queries see.
Tensor with_added_keys(const Tensor& mask, int64_t added) {
  return added == 0 || !mask.defined() ? mask : constant_pad_nd(mask, {0, added}, 0.0);
}

// The masks as scaled_dot_product_attention takes them, over (batch, heads, queries, keys);
// undefined when nothing is hidden.
Tensor merged_mask(const MultiHeadOptions& options, const Sizes& sizes, int64_t added,
                   const Tensor& query) {
  Tensor mask = options.attn_mask;
  if (!mask.defined() && options.is_causal) {
    mask = triu(ones({sizes.queries, sizes.keys}, TensorOptions(kBool).device(query.device())), 1);
  }
  if (mask.defined() && mask.dim() == 3) {
    mask = mask.reshape({sizes.batch, sizes.heads, sizes.queries, sizes.keys});
  }
  mask = with_added_keys(mask, added);
  Tensor padding = with_added_keys(options.key_padding_mask, added);
  if (padding.defined()) {
    padding = padding.reshape({sizes.batch, 1, 1, sizes.keys + added});
    if (!mask.defined()) {
      mask = padding;
    } else if (mask.dtype() == kBool && padding.dtype() == kBool) {
      mask = logical_or(mask, padding);
    } else {
      mask = additive(mask, query.dtype()) + additive(padding, query.dtype());
    }
  }
  if (!mask.defined()) return mask;
  return mask.dtype() == kBool ? logical_not(mask) : to(mask, query.dtype());
}

// Attention --------------------------------------------------------------------------------------

struct Attended {
  Tensor output;   // (batch, heads, queries, width)
  Tensor weights;  // (batch, heads, queries, keys); undefined unless needed
};

Attended attend(const Projected& heads, const MultiHeadOptions& options, const Sizes& sizes) {
  const auto& [query, key, value] = heads;
  const int64_t added = key.size(2) - sizes.keys;
  // With nothing else to hide, is_causal says it all, and no mask is read.
  const bool needs_no_mask = options.is_causal && !options.need_weights && added == 0 &&
                             !options.key_padding_mask.defined();
  const Tensor mask = needs_no_mask ? Tensor() : merged_mask(options, sizes, added, query);
  if (!options.need_weights) {
    return {scaled_dot_product_attention(query, key, value, mask, options.dropout_p, needs_no_mask),
            Tensor()};
  }
  const double scale = 1.0 / std::sqrt(static_cast<double>(sizes.width()));
  const AttentionCall call{query, key, value, mask, options.dropout_p, false, scale};
  WeightedAttention weighted = composed_attention(call);
  if (options.average_attn_weights) weighted.weights = mean(weighted.weights, {1});
  return {weighted.output, weighted.weights};
}

}  // namespace

std::pair<Tensor, Tensor> multi_head_attention_forward(const Tensor& query, const Tensor& key,
                                                       const Tensor& value, int64_t num_heads,
                                                       const MultiHeadParameters& parameters,
                                                       const MultiHeadOptions& options) {
  check_ranks(query, key, value);
  check_parameters(parameters);
  const bool is_batched = query.dim() == 3, batch_first = options.batch_first;
  const int batch_dim = batch_first ? 0 : 1;
  const auto batched = [&](const Tensor& tensor) {
    return is_batched ? tensor : tensor.unsqueeze(batch_dim);
  };
  // What is one tensor stays one, since it has one product.
  const Tensor q = batched(query);
  const Tensor k = key.impl() == query.impl() ? q : batched(key);
  const Tensor v = value.impl() == key.impl() ? k : batched(value);
  const Sizes sizes = checked_sizes(q, k, v, num_heads, parameters, options);
  check_masks(options, is_batched, sizes);

  const Projected projected = project(q, k, v, parameters, sizes.embed_dim);
  const auto heads_of = [&](const Tensor& tensor, const Tensor& fixed, const Tensor& bias) {
    const Tensor heads = fixed.defined()
                             ? fixed.reshape({sizes.batch, sizes.heads, sizes.keys, sizes.width()})
                             : in_heads(tensor, sizes, batch_first);
    return with_added(heads, bias, options.add_zero_attn, sizes);
  };
  const Projected heads{in_heads(projected.query, sizes, batch_first),
                        heads_of(projected.key, options.static_k, parameters.bias_k),
                        heads_of(projected.value, options.static_v, parameters.bias_v)};
  const auto [mixed, weights] = attend(heads, options, sizes);
  const Tensor output = linear(joined_heads(mixed, sizes, batch_first), parameters.out_proj_weight,
                               parameters.out_proj_bias);
  if (is_batched) return {output, weights};
  return {output.squeeze(batch_dim), weights.defined() ? weights.squeeze(0) : weights};
}

}  // namespace taut::nn::functional
