#pragma once
// Attention of several heads, with its projections.
//   nn::MultiheadAttention attention(512, 8, {.batch_first = true});
//   const auto [y, weights] = attention.forward(x, x, x);

#include <memory>
#include <optional>
#include <utility>

#include "taut/nn/module.h"
#include "taut/nn/modules/layer_factory.h"

namespace taut::nn {

class Linear;

struct MultiheadAttentionOptions {
  double dropout = 0.0;              // of weights that are dropped in training
  bool bias = true;                  // of the projections
  bool add_bias_kv = false;          // one more key and value, which are learnt
  bool add_zero_attn = false;        // one more key and value of zeros
  std::optional<int64_t> kdim = {};  // features of key and value: embed_dim unless given
  std::optional<int64_t> vdim = {};
  bool batch_first = false;    // (batch, length, features) and not (length, batch, features)
  TensorOptions options = {};  // dtype and device of the parameters
};

/// Projects query, key and value, lets each of num_heads heads of embed_dim / num_heads numbers
/// attend, and projects what they give. Weights start as xavier_uniform_ fills them, but for
/// out_proj's, which start as Linear's; biases start at 0, bias_k and bias_v by xavier_normal_.
/// Vaswani et al., Attention Is All You Need, 2017.
/// @throws ValueError unless embed_dim is divisible by num_heads and both are positive.
class TAUT_API MultiheadAttention : public Module {
 public:
  MultiheadAttention(int64_t embed_dim, int64_t num_heads,
                     const MultiheadAttentionOptions& options = {},
                     const LayerFactory& factory = LayerFactory());
  /// The output and, if needed, the weights. Shapes, masks and errors are those of
  /// functional::multi_head_attention_forward. Without need_weights the call is faster and needs no
  /// memory for them.
  std::pair<Tensor, Tensor> forward(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Tensor& key_padding_mask = {}, bool need_weights = true,
                                    const Tensor& attn_mask = {}, bool average_attn_weights = true,
                                    bool is_causal = false);
  /// The output of attention to itself.
  Tensor forward(const Tensor& input) override;
  /// {output} of an input that attends to itself, or of query, key and value.
  Tensors forward_many(TensorList inputs) override;
  /// The same with key_padding_mask, attn_mask and is_causal; {output, weights} with need_weights.
  Tensors forward_named(TensorList inputs, const NamedArguments& named) override;
  void reset_parameters();

  int64_t embed_dim;
  int64_t num_heads;
  int64_t head_dim;
  int64_t kdim;
  int64_t vdim;
  double dropout;
  bool add_zero_attn;
  bool batch_first;
  Tensor in_proj_weight;  // (3 embed_dim, embed_dim), undefined with another kdim or vdim;
  Tensor q_proj_weight;   // then there are these: (embed_dim, embed_dim),
  Tensor k_proj_weight;   // (embed_dim, kdim)
  Tensor v_proj_weight;   // and (embed_dim, vdim)
  Tensor in_proj_bias;    // (3 embed_dim,), undefined without bias
  Tensor bias_k;          // (1, 1, embed_dim), undefined unless add_bias_kv
  Tensor bias_v;
  std::shared_ptr<Linear> out_proj;

 private:
  Tensor out_proj_part(const char* name) const;
};

}  // namespace taut::nn
