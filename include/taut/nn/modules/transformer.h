#pragma once
// Transformers as in Attention Is All You Need (Vaswani et al., 2017), of ops that are fused where
// neighbours can be.
//   nn::TransformerEncoder encoder({512, 8, {.batch_first = true, .norm_first = true}}, 6);
//   Tensor y = encoder.forward(x, /*mask=*/{}, padding, /*is_causal=*/true);
//
// Sequences are (length, batch, d_model), (batch, length, d_model) with batch_first, or (length,
// d_model). Masks are those of MultiheadAttention: what they are true for is not seen, and floating
// ones are added to the scores. is_causal needs no mask.
//
// A sum and its norm are one op (F::add_layer_norm), dropout and sum another (F::dropout_add), and
// the feed-forward block is F::mlp unless dropout or an activation of another kind stands in it. A
// module inside that has hooks, or has been replaced by one of another class, is called as it is.

#include <cstdint>
#include <memory>
#include <vector>

#include "taut/nn/module.h"
#include "taut/nn/modules/activation_arg.h"
#include "taut/nn/modules/container.h"
#include "taut/nn/modules/dropout.h"
#include "taut/nn/modules/layer_factory.h"
#include "taut/nn/modules/linear.h"
#include "taut/nn/modules/multihead_attention.h"
#include "taut/nn/modules/norm.h"

namespace taut::nn {

class ResidualStream;

struct TransformerLayerOptions {
  int64_t dim_feedforward = 2048;
  double dropout = 0.1;
  ActivationArg activation = "relu";
  double layer_norm_eps = 1e-5;
  bool batch_first = false;
  bool norm_first = false;  // norms before the sublayers, on what they read; else behind each sum
  bool bias = true;
  TensorOptions options = {};  // dtype and device of the parameters
  bool recompute = false;      // outputs of norms and activations are made again in backward
};

/// What one attention of a layer does not see.
struct AttentionMasks {
  Tensor attn_mask;         // (L, S) or (batch * nhead, L, S)
  Tensor key_padding_mask;  // (batch, S), or (S,) without a batch
  bool is_causal = false;
};

/// What the layers of encoder and decoder have in common: attention to themselves and a
/// feed-forward block.
class TAUT_API TransformerLayer : public Module {
 public:
  /// Puts another activation in place; a module becomes a part named "activation".
  void set_activation(const ActivationArg& activation);
  /// The name or function that was given last. A part named "activation" goes before it.
  const ActivationArg& activation() const { return options_.activation; }

  bool norm_first;
  bool recompute;  // of the activation; norms have their own
  std::shared_ptr<MultiheadAttention> self_attn;
  std::shared_ptr<Linear> linear1;
  std::shared_ptr<Dropout> dropout;
  std::shared_ptr<Linear> linear2;

 protected:
  TransformerLayer(int64_t d_model, int64_t nhead, const TransformerLayerOptions& options);

  std::shared_ptr<MultiheadAttention> make_attention(const LayerFactory& factory) const;
  std::shared_ptr<LayerNorm> make_norm(const LayerFactory& factory) const;
  std::shared_ptr<Dropout> make_dropout(const LayerFactory& factory) const;
  void register_feed_forward(const LayerFactory& factory);

  /// What a layer like this one is made with.
  TransformerLayerOptions options() const;
  /// The module of a field, or the one that has taken its place. @throws ValueError for none.
  std::shared_ptr<Module> part(const char* name, std::shared_ptr<Module> field) const;
  Tensor attend(const std::shared_ptr<Module>& attention, const Tensor& query, const Tensor& memory,
                const AttentionMasks& masks);
  Tensor feed_forward(const Tensor& input);
  /// Adds what `block` makes of the stream, dropped by `drop`, with a norm before or behind.
  template <class Block>
  void add_sublayer(ResidualStream& stream, const std::shared_ptr<Module>& norm,
                    const std::shared_ptr<Module>& drop, const Block& block);

  int64_t d_model_;
  int64_t nhead_;
  TransformerLayerOptions options_;

 private:
  Tensor activate(const Tensor& input);
};

/// Self-attention and a feed-forward block. Parts are named as in PyTorch.
class TAUT_API TransformerEncoderLayer : public TransformerLayer {
 public:
  TransformerEncoderLayer(int64_t d_model, int64_t nhead,
                          const TransformerLayerOptions& options = {},
                          const LayerFactory& factory = LayerFactory());
  Tensor forward(const Tensor& src) override { return forward(src, Tensor()); }
  Tensor forward(const Tensor& src, const Tensor& src_mask, const Tensor& src_key_padding_mask = {},
                 bool is_causal = false);
  Tensors forward_named(TensorList inputs, const NamedArguments& named) override;
  /// A layer like this one, with parameters of its own; an activation that is a module is shared.
  /// @throws ValueError when modules inside have been replaced by such of other classes.
  std::shared_ptr<TransformerEncoderLayer> clone() const;

  std::shared_ptr<LayerNorm> norm1, norm2;
  std::shared_ptr<Dropout> dropout1, dropout2;

 private:
  friend class TransformerEncoder;
  void extend(ResidualStream& stream, const AttentionMasks& masks);
};

/// Self-attention, attention to what the encoder gave, and a feed-forward block.
class TAUT_API TransformerDecoderLayer : public TransformerLayer {
 public:
  TransformerDecoderLayer(int64_t d_model, int64_t nhead,
                          const TransformerLayerOptions& options = {},
                          const LayerFactory& factory = LayerFactory());
  using Module::forward;
  Tensor forward(const Tensor& tgt, const Tensor& memory, const Tensor& tgt_mask = {},
                 const Tensor& memory_mask = {}, const Tensor& tgt_key_padding_mask = {},
                 const Tensor& memory_key_padding_mask = {}, bool tgt_is_causal = false,
                 bool memory_is_causal = false);
  /// {forward(tgt, memory)}.
  Tensors forward_many(TensorList inputs) override;
  Tensors forward_named(TensorList inputs, const NamedArguments& named) override;
  /// As of TransformerEncoderLayer.
  std::shared_ptr<TransformerDecoderLayer> clone() const;

  std::shared_ptr<MultiheadAttention> multihead_attn;
  std::shared_ptr<LayerNorm> norm1, norm2, norm3;
  std::shared_ptr<Dropout> dropout1, dropout2, dropout3;

 private:
  friend class TransformerDecoder;
  void extend(ResidualStream& stream, const Tensor& memory, const AttentionMasks& own,
              const AttentionMasks& to_memory);
};

/// Layers one after the other, and a norm behind them if there is one. With norm_first the sum at
/// the end of a layer is made in one pass with the norm at the beginning of the next.
class TAUT_API TransformerStack : public Module {
 public:
  std::shared_ptr<ModuleList> layers;
  int64_t num_layers;
  std::shared_ptr<Module> norm;  // may be null

 protected:
  TransformerStack(std::shared_ptr<ModuleList> layers, std::shared_ptr<Module> norm);
  /// @throws ValueError when there is none.
  const NamedModules& all_layers() const;
};

class TAUT_API TransformerEncoder : public TransformerStack {
 public:
  /// num_layers clones of a layer, which all start with its parameters.
  TransformerEncoder(const TransformerEncoderLayer& encoder_layer, int64_t num_layers,
                     std::shared_ptr<Module> norm = nullptr);
  /// Of layers made elsewhere, of any class that takes src and, when they are given, src_mask,
  /// src_key_padding_mask and is_causal.
  explicit TransformerEncoder(std::shared_ptr<ModuleList> layers,
                              std::shared_ptr<Module> norm = nullptr);
  Tensor forward(const Tensor& src) override { return forward(src, Tensor()); }
  Tensor forward(const Tensor& src, const Tensor& mask, const Tensor& src_key_padding_mask = {},
                 bool is_causal = false);
  Tensors forward_named(TensorList inputs, const NamedArguments& named) override;
};

class TAUT_API TransformerDecoder : public TransformerStack {
 public:
  TransformerDecoder(const TransformerDecoderLayer& decoder_layer, int64_t num_layers,
                     std::shared_ptr<Module> norm = nullptr);
  /// Of layers made elsewhere, of any class that takes tgt, memory and what else is given.
  explicit TransformerDecoder(std::shared_ptr<ModuleList> layers,
                              std::shared_ptr<Module> norm = nullptr);
  using Module::forward;
  Tensor forward(const Tensor& tgt, const Tensor& memory, const Tensor& tgt_mask = {},
                 const Tensor& memory_mask = {}, const Tensor& tgt_key_padding_mask = {},
                 const Tensor& memory_key_padding_mask = {}, bool tgt_is_causal = false,
                 bool memory_is_causal = false);
  /// {forward(tgt, memory)}.
  Tensors forward_many(TensorList inputs) override;
  Tensors forward_named(TensorList inputs, const NamedArguments& named) override;
};

/// Masks of the two sequences of a Transformer.
struct TransformerMasks {
  Tensor src_mask;
  Tensor tgt_mask;
  Tensor memory_mask;  // of what the decoder sees of the encoder
  Tensor src_key_padding_mask;
  Tensor tgt_key_padding_mask;
  Tensor memory_key_padding_mask;
  bool src_is_causal = false;
  bool tgt_is_causal = false;
  bool memory_is_causal = false;
};

/// Encoder and decoder with a norm behind each. All matrices start as xavier_uniform_ fills them.
class TAUT_API Transformer : public Module {
 public:
  explicit Transformer(int64_t d_model = 512, int64_t nhead = 8, int64_t num_encoder_layers = 6,
                       int64_t num_decoder_layers = 6, const TransformerLayerOptions& options = {},
                       std::shared_ptr<Module> custom_encoder = nullptr,
                       std::shared_ptr<Module> custom_decoder = nullptr);
  using Module::forward;
  /// Of src (S, batch, d_model) and tgt (T, batch, d_model): like tgt. @throws ShapeError for other
  /// features, or batches that differ.
  Tensor forward(const Tensor& src, const Tensor& tgt, const TransformerMasks& masks = {});
  /// {forward(src, tgt)}.
  Tensors forward_many(TensorList inputs) override;
  Tensors forward_named(TensorList inputs, const NamedArguments& named) override;
  /// Fills all matrices anew.
  void reset_parameters();
  /// (sz, sz): minus infinity above the diagonal, else 0.
  static Tensor generate_square_subsequent_mask(int64_t sz, const TensorOptions& options = {});

  int64_t d_model;
  int64_t nhead;
  bool batch_first;
  std::shared_ptr<Module> encoder;
  std::shared_ptr<Module> decoder;
};

}  // namespace taut::nn
