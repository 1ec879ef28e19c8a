#include "taut/nn/modules/multihead_attention.h"

#include "src/nn/argument_reader.h"
#include "taut/nn/functional/attention.h"
#include "taut/nn/init.h"
#include "taut/nn/modules/linear.h"
#include "taut/ops/ops.h"

namespace taut::nn {

MultiheadAttention::MultiheadAttention(int64_t embed_dim_in, int64_t num_heads_in,
                                       const MultiheadAttentionOptions& options,
                                       const LayerFactory& factory)
    : embed_dim(embed_dim_in),
      num_heads(num_heads_in),
      head_dim(num_heads > 0 ? embed_dim / num_heads : 0),
      kdim(options.kdim.value_or(embed_dim)),
      vdim(options.vdim.value_or(embed_dim)),
      dropout(options.dropout),
      add_zero_attn(options.add_zero_attn),
      batch_first(options.batch_first) {
  TAUT_CHECK(embed_dim > 0 && num_heads > 0, ValueError,
             "MultiheadAttention: embed_dim and num_heads must be positive; got ", embed_dim,
             " and ", num_heads);
  TAUT_CHECK(head_dim * num_heads == embed_dim, ValueError,
             "MultiheadAttention: embed_dim must be divisible by num_heads; got ", embed_dim,
             " and ", num_heads);
  TAUT_CHECK(kdim > 0 && vdim > 0, ValueError,
             "MultiheadAttention: kdim and vdim must be positive; got ", kdim, " and ", vdim);
  TAUT_CHECK(dropout >= 0 && dropout <= 1, ValueError,
             "MultiheadAttention: dropout must be in 0..1; got ", dropout);
  const auto make = [&](bool wanted, const Dims& shape) {
    return wanted ? empty(shape, options.options) : Tensor();
  };
  const bool is_packed = kdim == embed_dim && vdim == embed_dim;
  register_parameter("in_proj_weight", in_proj_weight, make(is_packed, {3 * embed_dim, embed_dim}));
  register_parameter("q_proj_weight", q_proj_weight, make(!is_packed, {embed_dim, embed_dim}));
  register_parameter("k_proj_weight", k_proj_weight, make(!is_packed, {embed_dim, kdim}));
  register_parameter("v_proj_weight", v_proj_weight, make(!is_packed, {embed_dim, vdim}));
  register_parameter("in_proj_bias", in_proj_bias, make(options.bias, {3 * embed_dim}));
  register_parameter("bias_k", bias_k, make(options.add_bias_kv, {1, 1, embed_dim}));
  register_parameter("bias_v", bias_v, make(options.add_bias_kv, {1, 1, embed_dim}));
  register_module("out_proj", out_proj,
                  factory.linear(embed_dim, embed_dim, options.bias, options.options));
  reset_parameters();
}

void MultiheadAttention::reset_parameters() {
  for (const Tensor& weight : {in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight}) {
    if (weight.defined()) init::xavier_uniform_(weight);
  }
  for (const Tensor& bias : {in_proj_bias, out_proj_part("bias")}) {
    if (bias.defined()) init::zeros_(bias);
  }
  for (const Tensor& bias : {bias_k, bias_v}) {
    if (bias.defined()) init::xavier_normal_(bias);
  }
}

// A parameter of the last projection, also of a module that has taken the place of Linear.
Tensor MultiheadAttention::out_proj_part(const char* part) const {
  const Tensor* found = get_submodule("out_proj")->find_parameter(part);
  return found != nullptr ? *found : Tensor();
}

std::pair<Tensor, Tensor> MultiheadAttention::forward(const Tensor& query, const Tensor& key,
                                                      const Tensor& value,
                                                      const Tensor& key_padding_mask,
                                                      bool need_weights, const Tensor& attn_mask,
                                                      bool average_attn_weights, bool is_causal) {
  functional::MultiHeadParameters parameters;
  parameters.in_proj_weight = in_proj_weight;
  parameters.q_proj_weight = q_proj_weight;
  parameters.k_proj_weight = k_proj_weight;
  parameters.v_proj_weight = v_proj_weight;
  parameters.in_proj_bias = in_proj_bias;
  parameters.bias_k = bias_k;
  parameters.bias_v = bias_v;
  parameters.out_proj_weight = out_proj != nullptr ? out_proj->weight : out_proj_part("weight");
  parameters.out_proj_bias = out_proj != nullptr ? out_proj->bias : out_proj_part("bias");
  functional::MultiHeadOptions options;
  options.batch_first = batch_first;
  options.dropout_p = is_training() ? dropout : 0.0;
  options.add_zero_attn = add_zero_attn;
  options.key_padding_mask = key_padding_mask;
  options.attn_mask = attn_mask;
  options.is_causal = is_causal;
  options.need_weights = need_weights;
  options.average_attn_weights = average_attn_weights;
  return functional::multi_head_attention_forward(query, key, value, num_heads, parameters,
                                                  options);
}

Tensor MultiheadAttention::forward(const Tensor& input) {
  return forward(input, input, input, Tensor(), /*need_weights=*/false).first;
}

Tensors MultiheadAttention::forward_many(TensorList inputs) { return forward_named(inputs, {}); }

Tensors MultiheadAttention::forward_named(TensorList inputs, const NamedArguments& named) {
  TAUT_CHECK(inputs.size() == 1 || inputs.size() == 3, ValueError, name(),
             ": expected an input, or query, key and value; got ", inputs.size(), " tensors");
  const ArgumentReader read(*this, named);
  const Tensor key_padding_mask = read.tensor("key_padding_mask");
  const Tensor attn_mask = read.tensor("attn_mask");
  const bool need_weights = read.flag("need_weights");
  const bool average_attn_weights = read.flag("average_attn_weights", true);
  const bool is_causal = read.flag("is_causal");
  read.check_all();
  const size_t last = inputs.size() - 1;
  const auto [output, weights] =
      forward(inputs[0], inputs[last / 2], inputs[last], key_padding_mask, need_weights, attn_mask,
              average_attn_weights, is_causal);
  return need_weights ? Tensors{output, weights} : Tensors{output};
}

}  // namespace taut::nn
