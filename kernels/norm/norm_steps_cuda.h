#pragma once
// The steps that CUDA norms are made of where a row does not fit the registers of its threads, and
// always for batch norm. Each is a few kernels on the current stream.
//
// Note [Norms by steps]
// Every norm sees (batch, channels, spatial), contiguous: layer norm has a channel for each column
// and spatial 1. A run is the `spatial` elements of one channel of one sample. Statistics belong to
// channels (batch norm) or to `per_group` neighbouring channels of one sample (the others).

#include <cstdint>

#include "kernels/api/norm.h"

namespace taut::kernels::cuda {

struct NormShape {
  int64_t batch;
  int64_t channels;
  int64_t spatial;
  int64_t per_group;  // 0: statistics by channel

  int64_t numel() const { return batch * channels * spatial; }
  int64_t statistics() const { return per_group == 0 ? channels : batch * channels / per_group; }
};

/// Mean and 1 / sqrt(var + eps), or mean(x^2) for var where is_rms, of each channel of a shape
/// without groups. Running statistics follow where they are given.
struct StatisticsCall {
  DType dtype;
  NormShape shape;
  const void* input;
  void* mean;  // compute dtype; may be null
  void* rstd;  // compute dtype; may be null
  double eps;
  bool is_rms = false;
  void* running_mean = nullptr;  // parameter_dtype
  void* running_var = nullptr;
  DType parameter_dtype = kFloat32;
  double momentum = 0;
};
void find_statistics(const StatisticsCall& call);

/// output = (input - mean) rstd weight + bias.
struct NormalizeCall {
  DType dtype;
  NormShape shape;
  const void* input;
  void* output;
  const void* mean;  // compute dtype, one for each of statistics(); null: 0
  const void* rstd;
  const void* weight;  // parameter_dtype, one a channel; may be null, as bias
  const void* bias;
  DType parameter_dtype;
};
void normalize(const NormalizeCall& call);

/// grad_input = grad rstd weight + (input - mean) slope + shift + more.
struct GradientCall {
  DType dtype;
  NormShape shape;
  const void* grad;
  const void* input;
  void* grad_input;
  const void* mean;  // null: 0
  const void* rstd;
  const void* slope;  // compute dtype, one for each of statistics(); may be null, as shift
  const void* shift;
  const void* weight;
  DType parameter_dtype;
  const void* more = nullptr;  // of the input's shape and dtype; may be null
};
void write_gradient(const GradientCall& call);

/// For each channel sums[c] = (sum of grad, sum of grad (input - mean)), in double, of a shape
/// without groups. `mean` may be null.
struct ChannelSumsCall {
  DType dtype;
  NormShape shape;
  const void* grad;
  const void* input;
  const void* mean;
  double* sums;  // (channels, 2)
};
void sum_channels(const ChannelSumsCall& call);

/// Layer norm's backward (is_rms false) and RMS norm's by the steps of group norm. `more` is added
/// to the gradient of the input; it may be null.
void group_norm_backward_by_steps(const char* op, const GroupNormBackwardArgs& args,
                                  const void* more, bool is_rms);

/// Layer and RMS norm with a residual.
void add_layer_norm(const LayerNormArgs& args);
void add_rms_norm(const LayerNormArgs& args);

// The slots, each in its file.
void layer_norm(const LayerNormArgs& args);
void rms_norm(const LayerNormArgs& args);
void layer_norm_backward(const LayerNormBackwardArgs& args);
void rms_norm_backward(const LayerNormBackwardArgs& args);
void group_norm(const GroupNormArgs& args);
void group_norm_backward(const GroupNormBackwardArgs& args);
void batch_norm(const BatchNormArgs& args);
void batch_norm_backward(const BatchNormBackwardArgs& args);

}  // namespace taut::kernels::cuda
