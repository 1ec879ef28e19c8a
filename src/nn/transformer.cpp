// Stacks of transformer layers, and the model of an encoder and a decoder.

#include "taut/nn/modules/transformer.h"

#include <limits>

#include "src/nn/decoder_masks.h"
#include "src/nn/plain_module.h"
#include "src/nn/residual_stream.h"
#include "taut/nn/init.h"
#include "taut/nn/module_scope.h"
#include "taut/ops/ops.h"

namespace taut::nn {
namespace {

template <class Layer>
std::shared_ptr<ModuleList> clones_of(const Layer& layer, int64_t count) {
  TAUT_CHECK(count >= 0, ValueError, "num_layers must not be negative; got ", count);
  auto layers = std::make_shared<ModuleList>();
  for (int64_t i = 0; i < count; ++i) layers->append(layer.clone());
  return layers;
}

}  // namespace

// Stacks -----------------------------------------------------------------------------------------

TransformerStack::TransformerStack(std::shared_ptr<ModuleList> layers_in,
                                   std::shared_ptr<Module> norm_in) {
  TAUT_CHECK(layers_in != nullptr, ValueError, "transformer: layers is null");
  num_layers = static_cast<int64_t>(layers_in->size());
  register_module("layers", layers, std::move(layers_in));
  register_module("norm", norm, std::move(norm_in));
}

const NamedModules& TransformerStack::all_layers() const {
  const std::shared_ptr<Module> list = layers != nullptr ? layers : find_child("layers");
  TAUT_CHECK(list != nullptr, ValueError, name(), ": there is no module \"layers\"");
  return list->named_children();
}

TransformerEncoder::TransformerEncoder(const TransformerEncoderLayer& encoder_layer, int64_t count,
                                       std::shared_ptr<Module> norm_in)
    : TransformerEncoder(clones_of(encoder_layer, count), std::move(norm_in)) {}

TransformerEncoder::TransformerEncoder(std::shared_ptr<ModuleList> layers_in,
                                       std::shared_ptr<Module> norm_in)
    : TransformerStack(std::move(layers_in), std::move(norm_in)) {}

Tensor TransformerEncoder::forward(const Tensor& src, const Tensor& mask,
                                   const Tensor& src_key_padding_mask, bool is_causal) {
  ResidualStream stream(src);
  for (const auto& [layer_name, layer] : all_layers()) {
    if (TransformerEncoderLayer* plain = as_plain<TransformerEncoderLayer>(layer)) {
      const ModuleScope scope(*plain);
      plain->extend(stream, {mask, src_key_padding_mask, is_causal});
      continue;
    }
    const Tensor inputs[] = {stream.value()};
    stream = ResidualStream(first_output(
        *layer, layer->call(inputs, {{"src_mask", mask},
                                     {"is_causal", is_causal},
                                     {"src_key_padding_mask", src_key_padding_mask}})));
  }
  return norm != nullptr ? stream.normalized(norm) : stream.value();
}

Tensors TransformerEncoder::forward_named(TensorList inputs, const NamedArguments& named) {
  const ArgumentReader read(*this, named);
  read.check_inputs(inputs, 1);
  const Tensor mask = read.tensor("mask"), padding = read.tensor("src_key_padding_mask");
  const bool is_causal = read.flag("is_causal");
  read.check_all();
  return {forward(inputs[0], mask, padding, is_causal)};
}

TransformerDecoder::TransformerDecoder(const TransformerDecoderLayer& decoder_layer, int64_t count,
                                       std::shared_ptr<Module> norm_in)
    : TransformerDecoder(clones_of(decoder_layer, count), std::move(norm_in)) {}

TransformerDecoder::TransformerDecoder(std::shared_ptr<ModuleList> layers_in,
                                       std::shared_ptr<Module> norm_in)
    : TransformerStack(std::move(layers_in), std::move(norm_in)) {}

Tensor TransformerDecoder::forward(const Tensor& tgt, const Tensor& memory, const Tensor& tgt_mask,
                                   const Tensor& memory_mask, const Tensor& tgt_key_padding_mask,
                                   const Tensor& memory_key_padding_mask, bool tgt_is_causal,
                                   bool memory_is_causal) {
  const AttentionMasks own{tgt_mask, tgt_key_padding_mask, tgt_is_causal};
  const AttentionMasks to_memory{memory_mask, memory_key_padding_mask, memory_is_causal};
  ResidualStream stream(tgt);
  for (const auto& [layer_name, layer] : all_layers()) {
    if (TransformerDecoderLayer* plain = as_plain<TransformerDecoderLayer>(layer)) {
      const ModuleScope scope(*plain);
      plain->extend(stream, memory, own, to_memory);
      continue;
    }
    const Tensor inputs[] = {stream.value(), memory};
    stream = ResidualStream(
        first_output(*layer, layer->call(inputs, decoder_arguments(own, to_memory))));
  }
  return norm != nullptr ? stream.normalized(norm) : stream.value();
}

Tensors TransformerDecoder::forward_many(TensorList inputs) { return forward_named(inputs, {}); }

Tensors TransformerDecoder::forward_named(TensorList inputs, const NamedArguments& named) {
  return {forward_decoder(*this, inputs, named)};
}

// The model --------------------------------------------------------------------------------------

namespace {

template <class Stack, class Layer>
std::shared_ptr<Module> make_stack(int64_t d_model, int64_t nhead, int64_t count,
                                   const TransformerLayerOptions& options) {
  const Layer layer(d_model, nhead, options);
  const auto norm = LayerFactory().layer_norm(d_model, options.layer_norm_eps, options.bias,
                                              options.options, options.recompute);
  return std::make_shared<Stack>(layer, count, norm);
}

}  // namespace

Transformer::Transformer(int64_t d_model_in, int64_t nhead_in, int64_t num_encoder_layers,
                         int64_t num_decoder_layers, const TransformerLayerOptions& options,
                         std::shared_ptr<Module> custom_encoder,
                         std::shared_ptr<Module> custom_decoder)
    : d_model(d_model_in), nhead(nhead_in), batch_first(options.batch_first) {
  register_module("encoder", encoder,
                  custom_encoder != nullptr
                      ? std::move(custom_encoder)
                      : make_stack<TransformerEncoder, TransformerEncoderLayer>(
                            d_model, nhead, num_encoder_layers, options));
  register_module("decoder", decoder,
                  custom_decoder != nullptr
                      ? std::move(custom_decoder)
                      : make_stack<TransformerDecoder, TransformerDecoderLayer>(
                            d_model, nhead, num_decoder_layers, options));
  reset_parameters();
}

void Transformer::reset_parameters() {
  for (const Tensor& parameter : parameters()) {
    if (parameter.dim() > 1) init::xavier_uniform_(parameter);
  }
}

Tensor Transformer::forward(const Tensor& src, const Tensor& tgt, const TransformerMasks& masks) {
  TAUT_CHECK(src.defined() && tgt.defined(), ValueError, "Transformer: expected src and tgt");
  TAUT_CHECK((src.dim() == 2 || src.dim() == 3) && tgt.dim() == src.dim(), ShapeError,
             "Transformer: src and tgt must have 3 dims, or 2 without a batch; got shapes ",
             src.shape(), " and ", tgt.shape());
  const int batch_dim = batch_first ? 0 : 1;
  TAUT_CHECK(src.dim() == 2 || src.size(batch_dim) == tgt.size(batch_dim), ShapeError,
             "Transformer: src and tgt must have one batch size; got shapes ", src.shape(), " and ",
             tgt.shape());
  TAUT_CHECK(src.size(-1) == d_model && tgt.size(-1) == d_model, ShapeError,
             "Transformer: src and tgt must have ", d_model, " features; got shapes ", src.shape(),
             " and ", tgt.shape());
  TAUT_CHECK(encoder != nullptr && decoder != nullptr, ValueError,
             "Transformer: encoder or decoder is not there");
  const Tensor sources[] = {src};
  const Tensor memory = first_output(
      *encoder, encoder->call(sources, {{"mask", masks.src_mask},
                                        {"src_key_padding_mask", masks.src_key_padding_mask},
                                        {"is_causal", masks.src_is_causal}}));
  const Tensor targets[] = {tgt, memory};
  const AttentionMasks own{masks.tgt_mask, masks.tgt_key_padding_mask, masks.tgt_is_causal};
  const AttentionMasks to_memory{masks.memory_mask, masks.memory_key_padding_mask,
                                 masks.memory_is_causal};
  return first_output(*decoder, decoder->call(targets, decoder_arguments(own, to_memory)));
}

Tensors Transformer::forward_many(TensorList inputs) { return forward_named(inputs, {}); }

Tensors Transformer::forward_named(TensorList inputs, const NamedArguments& named) {
  const ArgumentReader read(*this, named);
  read.check_inputs(inputs, 2);
  TransformerMasks masks;
  masks.src_mask = read.tensor("src_mask");
  masks.src_key_padding_mask = read.tensor("src_key_padding_mask");
  masks.src_is_causal = read.flag("src_is_causal");
  const DecoderMasks decoder_masks = read_decoder_masks(read);
  masks.tgt_mask = decoder_masks.own.attn_mask;
  masks.tgt_key_padding_mask = decoder_masks.own.key_padding_mask;
  masks.tgt_is_causal = decoder_masks.own.is_causal;
  masks.memory_mask = decoder_masks.to_memory.attn_mask;
  masks.memory_key_padding_mask = decoder_masks.to_memory.key_padding_mask;
  masks.memory_is_causal = decoder_masks.to_memory.is_causal;
  return {forward(inputs[0], inputs[1], masks)};
}

Tensor Transformer::generate_square_subsequent_mask(int64_t sz, const TensorOptions& options) {
  return triu(full({sz, sz}, -std::numeric_limits<double>::infinity(), options), 1);
}

}  // namespace taut::nn
