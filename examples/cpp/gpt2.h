#pragma once
// GPT-2 of Radford et al., "Language Models are Unsupervised Multitask Learners" (2019).

#include <taut/taut.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "training.h"

struct Gpt2Shape {
  int64_t layers, width, heads, context, vocabulary;
};

// The keys and values of what was read so far, so that a new token costs a token and not the whole
// text.
struct Gpt2Cache {
  Gpt2Cache(const Gpt2Shape& shape, int64_t batch, const taut::Tensor& like) {
    for (int64_t layer = 0; layer < shape.layers; ++layer) {
      const taut::Dims size = {batch, shape.heads, shape.context, shape.width / shape.heads};
      keys.push_back(taut::empty(size, like.options()));
      values.push_back(taut::empty(size, like.options()));
    }
  }
  // All keys and values of a layer, those of the next tokens among them.
  std::pair<taut::Tensor, taut::Tensor> extended(size_t layer, const taut::Tensor& more_keys,
                                                 const taut::Tensor& more_values) {
    const int64_t count = more_keys.size(2);
    keys[layer].narrow(2, length, count).copy_(more_keys);
    values[layer].narrow(2, length, count).copy_(more_values);
    return {keys[layer].narrow(2, 0, length + count), values[layer].narrow(2, 0, length + count)};
  }

  int64_t length = 0;
  taut::Tensors keys, values;
};

// The norm of x + branch, and the sum itself, in one pass.
inline std::pair<taut::Tensor, taut::Tensor> add_norm(const taut::nn::LayerNorm& norm,
                                                      const taut::Tensor& branch,
                                                      const taut::Tensor& x) {
  return taut::nn::functional::add_layer_norm(branch, x, norm.normalized_shape, norm.weight,
                                              norm.bias, norm.eps);
}

struct Gpt2Block : taut::nn::Module {
  Gpt2Block(size_t layer_in, int64_t width, int64_t heads_in)
      : layer(layer_in),
        heads(heads_in),
        norm1(register_module<taut::nn::LayerNorm>("norm1", width)),
        norm2(register_module<taut::nn::LayerNorm>("norm2", width)),
        qkv(register_module<taut::nn::Linear>("qkv", width, 3 * width)),
        out(register_module<taut::nn::Linear>("out", width, width)),
        up(register_module<taut::nn::Linear>("up", width, 4 * width)),
        down(register_module<taut::nn::Linear>("down", 4 * width, width)) {}

  taut::Tensor attend(const taut::Tensor& x, Gpt2Cache* cache) {
    const int64_t batch = x.size(0), length = x.size(1), width = x.size(2);
    taut::Tensors parts = (*qkv)(x).split(width, 2);
    for (taut::Tensor& part : parts) {
      part = part.view({batch, length, heads, width / heads}).transpose(1, 2);
    }
    const bool is_start = cache == nullptr || cache->length == 0;
    if (cache != nullptr) {
      std::tie(parts[1], parts[2]) = cache->extended(layer, parts[1], parts[2]);
    }
    // A token that comes alone sees all that is there.
    const taut::Tensor mixed =
        taut::nn::functional::scaled_dot_product_attention(parts[0], parts[1], parts[2], {}, 0.0,
                                                           /*is_causal=*/is_start && length > 1);
    return (*out)(mixed.transpose(1, 2).reshape({batch, length, width}));
  }

  // The next norm of the residual stream x, of which h is norm1, and the stream.
  std::pair<taut::Tensor, taut::Tensor> run(const taut::Tensor& h, const taut::Tensor& x,
                                            const taut::nn::LayerNorm& next_norm,
                                            Gpt2Cache* cache) {
    const auto [normal, sum] = add_norm(*norm2, attend(h, cache), x);
    const taut::Tensor mlp = taut::nn::functional::mlp(normal, up->weight, down->weight, up->bias,
                                                       down->bias, "gelu_tanh");
    return add_norm(next_norm, mlp, sum);
  }

  size_t layer;
  int64_t heads;
  std::shared_ptr<taut::nn::LayerNorm> norm1, norm2;
  std::shared_ptr<taut::nn::Linear> qkv, out, up, down;
};

struct Gpt2 : taut::nn::Module {
  explicit Gpt2(const Gpt2Shape& shape_in)
      : shape(shape_in),
        // Products like multiples of 64 better.
        token(register_module<taut::nn::Embedding>("token", (shape.vocabulary + 63) / 64 * 64,
                                                   shape.width)),
        position(register_module<taut::nn::Embedding>("position", shape.context, shape.width)),
        list(register_module<taut::nn::ModuleList>("blocks")) {
    for (int64_t layer = 0; layer < shape.layers; ++layer) {
      blocks.push_back(
          std::make_shared<Gpt2Block>(static_cast<size_t>(layer), shape.width, shape.heads));
      list->append(blocks.back());
    }
    norm = register_module<taut::nn::LayerNorm>("norm", shape.width);
    for (const auto& [name, weight] : named_parameters()) {
      if (weight.dim() > 1) {
        // What is added to the residual stream grows with the layers.
        const bool into_stream = name.ends_with("out.weight") || name.ends_with("down.weight");
        const auto additions = static_cast<double>(into_stream ? 2 * shape.layers : 1);
        taut::nn::init::normal_(weight, 0.0, 0.02 / std::sqrt(additions));
      } else if (name.ends_with("bias")) {
        taut::nn::init::zeros_(weight);
      }
    }
  }

  // Tokens (batch, length) to logits (batch, length, rows of the vocabulary).
  taut::Tensor run(const taut::Tensor& tokens, Gpt2Cache* cache = nullptr) {
    const int64_t start = cache == nullptr ? 0 : cache->length;
    const taut::Tensor places =
        taut::arange(start, start + tokens.size(1), 1,
                     taut::TensorOptions(taut::kInt64).device(tokens.device()));
    taut::Tensor x = (*token)(tokens) + (*position)(places);
    taut::Tensor h = norm_before(0)(x);
    for (size_t layer = 0; layer < blocks.size(); ++layer) {
      std::tie(h, x) = blocks[layer]->run(h, x, norm_before(layer + 1), cache);
    }
    if (cache != nullptr) cache->length += tokens.size(1);
    return taut::nn::functional::linear(h, token->weight);
  }
  // The first norm of a block, or the model's own after the last one.
  taut::nn::LayerNorm& norm_before(size_t layer) {
    return layer < blocks.size() ? *blocks[layer]->norm1 : *norm;
  }
  taut::Tensor forward(const taut::Tensor& tokens) override { return run(tokens); }

  // Of a training step; attention sees half of the context on average.
  double flops_per_token() const {
    return 6.0 * static_cast<double>(count_weights(*this) - position->weight.numel()) +
           6.0 * static_cast<double>(shape.layers * shape.width * shape.context);
  }

  Gpt2Shape shape;
  std::shared_ptr<taut::nn::Embedding> token, position;
  std::shared_ptr<taut::nn::ModuleList> list;
  std::vector<std::shared_ptr<Gpt2Block>> blocks;
  std::shared_ptr<taut::nn::LayerNorm> norm;
};
