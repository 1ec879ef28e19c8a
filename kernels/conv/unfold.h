#pragma once
// The column matrices of convolutions on CUDA, and what is added to a convolution's result.

#include "kernels/api/conv.h"

namespace taut::kernels::cuda {

void unfold(const UnfoldArgs& args);
void fold(const FoldArgs& args);

/// output = activation(output + bias[channel]); contiguous (batch, channels, plane), or (batch,
/// plane, channels) when channels_last. bias: (channels) or null.
struct ChannelBiasArgs {
  DType dtype = DType::float32;
  void* output = nullptr;
  const void* bias = nullptr;
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t plane = 0;
  bool channels_last = false;
  Activation activation = Activation::none;
};
void add_channel_bias(const ChannelBiasArgs& args);

}  // namespace taut::kernels::cuda
