#pragma once
// ResNet-18 and ResNet-50 of He et al., "Deep Residual Learning for Image Recognition" (2015), with
// the stride in the 3 x 3 convolution and torchvision's names of parameters, so that weights can be
// exchanged.

#include <taut/taut.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

struct ResNetDepth {
  std::array<int64_t, 4> blocks;  // of the four stages
  int64_t widening;               // how much a block widens what it computes
};

// The depths that there are.
inline const std::map<int64_t, ResNetDepth>& resnet_depths() {
  static const std::map<int64_t, ResNetDepth> depths = {{18, {{2, 2, 2, 2}, 1}},
                                                        {50, {{3, 4, 6, 3}, 4}}};
  return depths;
}

inline taut::nn::Conv2d convolution(int64_t inputs, int64_t outputs, int64_t size,
                                    int64_t stride = 1) {
  return {inputs, outputs, size, {.stride = stride, .padding = size / 2, .bias = false}};
}

// Two 3 x 3 convolutions, or in a bottleneck one between two of 1 x 1, around which the input goes.
class ResNetBlock : public taut::nn::Module {
 public:
  ResNetBlock(int64_t inputs, int64_t width, int64_t stride, int64_t widening) {
    const int64_t outputs = width * widening;
    if (widening > 1) {
      add_layer(inputs, width, 1, 1);
      add_layer(width, width, 3, stride);
      add_layer(width, outputs, 1, 1);
    } else {
      add_layer(inputs, width, 3, stride);
      add_layer(width, width, 3, 1);
    }
    // A block starts as the identity: Goyal et al., "Accurate, Large Minibatch SGD" (2017).
    taut::nn::init::zeros_(layers_.back().norm->weight);
    if (stride != 1 || inputs != outputs) {
      downsample_ = register_module("downsample",
                                    taut::nn::Sequential{convolution(inputs, outputs, 1, stride),
                                                         taut::nn::BatchNorm2d(outputs)});
    }
  }

  taut::Tensor forward(const taut::Tensor& input) override {
    const taut::Tensor residual = downsample_ == nullptr ? input : (*downsample_)(input);
    taut::Tensor x = input;
    for (const Layer& layer : layers_) {
      const taut::Tensor y = (*layer.conv)(x);
      x = &layer == &layers_.back() ? (*layer.norm)(y, residual) : (*layer.norm)(y);
    }
    return x;
  }

 private:
  struct Layer {
    std::shared_ptr<taut::nn::Conv2d> conv;
    std::shared_ptr<taut::nn::BatchNormReLU2d> norm;
  };

  void add_layer(int64_t inputs, int64_t outputs, int64_t size, int64_t stride) {
    const std::string number = std::to_string(layers_.size() + 1);
    Layer layer;
    layer.conv = register_module("conv" + number, convolution(inputs, outputs, size, stride));
    layer.norm = register_module<taut::nn::BatchNormReLU2d>("bn" + number, outputs);
    layers_.push_back(std::move(layer));
  }

  std::vector<Layer> layers_;
  std::shared_ptr<taut::nn::Sequential> downsample_;
};

// Pictures up to 64 pixels wide get a 3 x 3 convolution at the start and no pooling there.
class ResNet : public taut::nn::Module {
 public:
  // depth: one of resnet_depths().
  ResNet(int64_t depth, int64_t channels, int64_t classes, int64_t size) {
    const auto& [blocks, widening] = resnet_depths().at(depth);
    const bool is_small = size <= 64;
    add("conv1", is_small ? convolution(channels, 64, 3) : convolution(channels, 64, 7, 2));
    add("bn1", taut::nn::BatchNormReLU2d(64));
    if (is_small) {
      add("maxpool", taut::nn::Identity());
    } else {
      add("maxpool", taut::nn::MaxPool2d(3, {.stride = 2, .padding = 1}));
    }
    int64_t inputs = 64;
    for (size_t stage = 0; stage < blocks.size(); ++stage) {
      const int64_t width = int64_t{64} << stage;
      taut::nn::Sequential layer;
      for (int64_t i = 0; i < blocks[stage]; ++i) {
        layer.push_back(ResNetBlock(inputs, width, i == 0 && stage > 0 ? 2 : 1, widening));
        inputs = width * widening;
      }
      add("layer" + std::to_string(stage + 1), std::move(layer));
    }
    add("avgpool", taut::nn::AdaptiveAvgPool2d(1));
    fc_ = register_module<taut::nn::Linear>("fc", inputs, classes);
    for (const taut::Tensor& weight : parameters()) {
      if (weight.dim() == 4) taut::nn::init::kaiming_normal_(weight, 0.0, "fan_out", "relu");
    }
  }

  // (batch, channels, height, width) to logits (batch, classes).
  taut::Tensor forward(const taut::Tensor& pictures) override {
    taut::Tensor x = pictures;
    for (const auto& part : before_fc_) x = (*part)(x);
    return (*fc_)(x.flatten(1));
  }

 private:
  template <class M>
  void add(std::string name, M&& module) {
    before_fc_.push_back(register_module(std::move(name), std::forward<M>(module)));
  }

  std::vector<std::shared_ptr<taut::nn::Module>> before_fc_;
  std::shared_ptr<taut::nn::Linear> fc_;
};
