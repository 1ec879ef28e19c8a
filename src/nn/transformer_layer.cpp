// The layers of transformers, and the stream of sums that they extend.

#include <string_view>
#include <typeinfo>
#include <utility>

#include "src/nn/decoder_masks.h"
#include "src/nn/plain_module.h"
#include "src/nn/residual_stream.h"
#include "taut/autograd/set_data.h"
#include "taut/core/generator.h"
#include "taut/nn/functional/mlp.h"
#include "taut/nn/module_scope.h"
#include "taut/nn/modules/activation.h"
#include "taut/nn/modules/transformer.h"
#include "taut/ops/ops.h"

namespace taut::nn {

// What both layers have --------------------------------------------------------------------------

TransformerLayer::TransformerLayer(int64_t d_model, int64_t nhead,
                                   const TransformerLayerOptions& options)
    : norm_first(options.norm_first),
      recompute(options.recompute),
      d_model_(d_model),
      nhead_(nhead),
      options_(options) {
  TAUT_CHECK(options.dim_feedforward > 0, ValueError,
             "transformer layer: dim_feedforward must be positive; got ", options.dim_feedforward);
}

std::shared_ptr<MultiheadAttention> TransformerLayer::make_attention(
    const LayerFactory& factory) const {
  MultiheadAttentionOptions attention;
  attention.dropout = options_.dropout;
  attention.bias = options_.bias;
  attention.batch_first = options_.batch_first;
  attention.options = options_.options;
  return factory.attention(d_model_, nhead_, attention);
}

std::shared_ptr<LayerNorm> TransformerLayer::make_norm(const LayerFactory& factory) const {
  return factory.layer_norm(d_model_, options_.layer_norm_eps, options_.bias, options_.options,
                            options_.recompute);
}

std::shared_ptr<Dropout> TransformerLayer::make_dropout(const LayerFactory& factory) const {
  return factory.dropout(options_.dropout);
}

void TransformerLayer::register_feed_forward(const LayerFactory& factory) {
  const int64_t hidden = options_.dim_feedforward;
  register_module("linear1", linear1,
                  factory.linear(d_model_, hidden, options_.bias, options_.options));
  register_module("dropout", dropout, make_dropout(factory));
  register_module("linear2", linear2,
                  factory.linear(hidden, d_model_, options_.bias, options_.options));
}

std::shared_ptr<Module> TransformerLayer::part(const char* part_name,
                                               std::shared_ptr<Module> field) const {
  if (field == nullptr) field = find_child(part_name);
  TAUT_CHECK(field != nullptr, ValueError, name(), ": there is no module \"", part_name, "\"");
  return field;
}

void TransformerLayer::set_activation(const ActivationArg& activation) {
  unregister("activation");
  options_.activation = activation;
  if (activation.module() != nullptr) add_module("activation", activation.module());
}

Tensor TransformerLayer::activate(const Tensor& input) {
  const std::shared_ptr<Module> module = find_child("activation");
  return module != nullptr ? (*module)(input) : options_.activation(input, recompute);
}

namespace {

// An activation that F::mlp knows; another one has no name.
struct KnownActivation {
  std::string_view name;
  bool recompute;
};

KnownActivation known_activation(const TransformerLayer& layer) {
  const std::shared_ptr<Module> module = layer.find_child("activation");
  if (module == nullptr) return {layer.activation().name(), layer.recompute};
  if (as_plain<ReLU>(module) != nullptr) return {"relu", layer.recompute};
  const GELU* gelu = as_plain<GELU>(module);
  if (gelu == nullptr) return {"", false};
  return {gelu->approximate == "tanh" ? "gelu_tanh" : "gelu", layer.recompute || gelu->recompute};
}

}  // namespace

Tensor TransformerLayer::feed_forward(const Tensor& input) {
  const std::shared_ptr<Module> into = part("linear1", linear1), out = part("linear2", linear2);
  const std::shared_ptr<Module> drop = part("dropout", dropout);
  const Linear* first = as_plain<Linear>(into);
  const Linear* second = as_plain<Linear>(out);
  const Dropout* plain_drop = as_plain<Dropout>(drop);
  const bool keeps_all = plain_drop != nullptr && !is_dropping(*plain_drop);
  const KnownActivation known = known_activation(*this);
  if (first != nullptr && second != nullptr && keeps_all && !known.name.empty()) {
    return functional::mlp(input, first->weight, second->weight, first->bias, second->bias,
                           known.name, known.recompute);
  }
  return (*out)((*drop)(activate((*into)(input))));
}

Tensor TransformerLayer::attend(const std::shared_ptr<Module>& attention, const Tensor& query,
                                const Tensor& memory, const AttentionMasks& masks) {
  if (MultiheadAttention* plain = as_plain<MultiheadAttention>(attention)) {
    const ModuleScope scope(*plain);
    return plain
        ->forward(query, memory, memory, masks.key_padding_mask, /*need_weights=*/false,
                  masks.attn_mask, /*average_attn_weights=*/true, masks.is_causal)
        .first;
  }
  const Tensor inputs[] = {query, memory, memory};
  return first_output(*attention,
                      attention->call(inputs, {{"attn_mask", masks.attn_mask},
                                               {"key_padding_mask", masks.key_padding_mask},
                                               {"is_causal", masks.is_causal},
                                               {"need_weights", false}}));
}

template <class Block>
void TransformerLayer::add_sublayer(ResidualStream& stream, const std::shared_ptr<Module>& norm,
                                    const std::shared_ptr<Module>& drop, const Block& block) {
  if (norm_first) {
    stream.add(block(stream.normalized(norm)), drop);
  } else {
    stream.add(block(stream.value()), drop);
    stream.normalize(norm);
  }
}

TransformerLayerOptions TransformerLayer::options() const {
  TransformerLayerOptions options = options_;
  options.norm_first = norm_first;
  options.recompute = recompute;
  if (auto module = find_child("activation")) options.activation = std::move(module);
  return options;
}

// Encoder layer ----------------------------------------------------------------------------------

TransformerEncoderLayer::TransformerEncoderLayer(int64_t d_model, int64_t nhead,
                                                 const TransformerLayerOptions& options,
                                                 const LayerFactory& factory)
    : TransformerLayer(d_model, nhead, options) {
  register_module("self_attn", self_attn, make_attention(factory));
  register_feed_forward(factory);
  register_module("norm1", norm1, make_norm(factory));
  register_module("norm2", norm2, make_norm(factory));
  register_module("dropout1", dropout1, make_dropout(factory));
  register_module("dropout2", dropout2, make_dropout(factory));
  set_activation(options.activation);
}

void TransformerEncoderLayer::extend(ResidualStream& stream, const AttentionMasks& masks) {
  const std::shared_ptr<Module> attention = part("self_attn", self_attn);
  add_sublayer(stream, part("norm1", norm1), part("dropout1", dropout1),
               [&](const Tensor& x) { return attend(attention, x, x, masks); });
  add_sublayer(stream, part("norm2", norm2), part("dropout2", dropout2),
               [&](const Tensor& x) { return feed_forward(x); });
}

Tensor TransformerEncoderLayer::forward(const Tensor& src, const Tensor& src_mask,
                                        const Tensor& src_key_padding_mask, bool is_causal) {
  ResidualStream stream(src);
  extend(stream, {src_mask, src_key_padding_mask, is_causal});
  return stream.value();
}

Tensors TransformerEncoderLayer::forward_named(TensorList inputs, const NamedArguments& named) {
  const ArgumentReader read(*this, named);
  read.check_inputs(inputs, 1);
  const AttentionMasks masks{read.tensor("src_mask"), read.tensor("src_key_padding_mask"),
                             read.flag("is_causal")};
  read.check_all();
  return {forward(inputs[0], masks.attn_mask, masks.key_padding_mask, masks.is_causal)};
}

// Decoder layer ----------------------------------------------------------------------------------

TransformerDecoderLayer::TransformerDecoderLayer(int64_t d_model, int64_t nhead,
                                                 const TransformerLayerOptions& options,
                                                 const LayerFactory& factory)
    : TransformerLayer(d_model, nhead, options) {
  register_module("self_attn", self_attn, make_attention(factory));
  register_module("multihead_attn", multihead_attn, make_attention(factory));
  register_feed_forward(factory);
  register_module("norm1", norm1, make_norm(factory));
  register_module("norm2", norm2, make_norm(factory));
  register_module("norm3", norm3, make_norm(factory));
  register_module("dropout1", dropout1, make_dropout(factory));
  register_module("dropout2", dropout2, make_dropout(factory));
  register_module("dropout3", dropout3, make_dropout(factory));
  set_activation(options.activation);
}

void TransformerDecoderLayer::extend(ResidualStream& stream, const Tensor& memory,
                                     const AttentionMasks& own, const AttentionMasks& to_memory) {
  const std::shared_ptr<Module> attention = part("self_attn", self_attn);
  const std::shared_ptr<Module> cross = part("multihead_attn", multihead_attn);
  add_sublayer(stream, part("norm1", norm1), part("dropout1", dropout1),
               [&](const Tensor& x) { return attend(attention, x, x, own); });
  add_sublayer(stream, part("norm2", norm2), part("dropout2", dropout2),
               [&](const Tensor& x) { return attend(cross, x, memory, to_memory); });
  add_sublayer(stream, part("norm3", norm3), part("dropout3", dropout3),
               [&](const Tensor& x) { return feed_forward(x); });
}

Tensor TransformerDecoderLayer::forward(const Tensor& tgt, const Tensor& memory,
                                        const Tensor& tgt_mask, const Tensor& memory_mask,
                                        const Tensor& tgt_key_padding_mask,
                                        const Tensor& memory_key_padding_mask, bool tgt_is_causal,
                                        bool memory_is_causal) {
  ResidualStream stream(tgt);
  extend(stream, memory, {tgt_mask, tgt_key_padding_mask, tgt_is_causal},
         {memory_mask, memory_key_padding_mask, memory_is_causal});
  return stream.value();
}

Tensors TransformerDecoderLayer::forward_many(TensorList inputs) {
  return forward_named(inputs, {});
}

Tensors TransformerDecoderLayer::forward_named(TensorList inputs, const NamedArguments& named) {
  return {forward_decoder(*this, inputs, named)};
}

// Clones -----------------------------------------------------------------------------------------

namespace {

// What may be set in a module after it was made.
void copy_fields(const Module& from, Module& to) {
  if (const auto* dropout = dynamic_cast<const Dropout*>(&from)) {
    static_cast<Dropout&>(to).p = dropout->p;
  } else if (const auto* norm = dynamic_cast<const LayerNorm*>(&from)) {
    static_cast<LayerNorm&>(to).eps = norm->eps;
    static_cast<LayerNorm&>(to).recompute = norm->recompute;
  } else if (const auto* attention = dynamic_cast<const MultiheadAttention*>(&from)) {
    static_cast<MultiheadAttention&>(to).dropout = attention->dropout;
  }
  to.train(from.is_training());
}

// Gives `to`, which was made like `from`, what has changed in `from` since, and tensors of its own.
void copy_parts(const Module& from, const Module& to) {
  const NamedModules sources = from.named_modules(), targets = to.named_modules();
  const NamedTensors values = from.named_parameters(), parameters = to.named_parameters();
  bool is_alike = sources.size() == targets.size() && values.size() == parameters.size();
  for (size_t i = 0; is_alike && i < sources.size(); ++i) {
    const Module &source = *sources[i].second, &target = *targets[i].second;
    is_alike = sources[i].first == targets[i].first && typeid(source) == typeid(target);
  }
  for (size_t i = 0; is_alike && i < values.size(); ++i) {
    is_alike = values[i].first == parameters[i].first;
  }
  TAUT_CHECK(is_alike, ValueError, from.name(),
             ": modules inside have been replaced by others; make each layer and hand over the "
             "list of them");
  for (size_t i = 0; i < sources.size(); ++i) copy_fields(*sources[i].second, *targets[i].second);
  for (size_t i = 0; i < values.size(); ++i) {
    const Tensor &value = values[i].second, &parameter = parameters[i].second;
    if (value.impl() == parameter.impl()) continue;  // of an activation, which is shared
    parameter.requires_grad_(value.requires_grad());
    autograd::set_data(parameter, value.detach().clone(), Tensor());
  }
}

// Makes what `make` makes; random numbers go on as if it had drawn none.
template <class Make>
auto without_drawing(const Make& make) {
  const GeneratorState state = default_generator().state();
  auto made = make();
  default_generator().set_state(state);
  return made;
}

}  // namespace

std::shared_ptr<TransformerEncoderLayer> TransformerEncoderLayer::clone() const {
  auto made = without_drawing(
      [&] { return std::make_shared<TransformerEncoderLayer>(d_model_, nhead_, options()); });
  copy_parts(*this, *made);
  return made;
}

std::shared_ptr<TransformerDecoderLayer> TransformerDecoderLayer::clone() const {
  auto made = without_drawing(
      [&] { return std::make_shared<TransformerDecoderLayer>(d_model_, nhead_, options()); });
  copy_parts(*this, *made);
  return made;
}

}  // namespace taut::nn
