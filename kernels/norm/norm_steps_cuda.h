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

/// What a batch norm does to its channels: (x - mean) rstd weight + bias. Without mean and rstd
/// those come from running statistics.
struct ColumnStatistics {
  const void* mean = nullptr;  // compute dtype, as rstd
  const void* rstd = nullptr;
  const void* running_mean = nullptr;  // parameter_dtype, as all that follows; each may be null
  const void* running_var = nullptr;
  double eps = 0;
  const void* weight = nullptr;
  const void* bias = nullptr;
  DType parameter_dtype = kFloat32;
};

/// The relu behind a batch norm of spatial 1.
struct ReluCall {
  bool exists = false;
  ColumnStatistics statistics;
  const void* output = nullptr;  // where a residual was added, and then `masked`:
  void* masked = nullptr;        // takes the gradient that relu lets through
};

/// For each channel sums[c] = (sum of grad, sum of grad (input - mean)), in double, of a shape
/// without groups, of the gradients that relu lets through. `mean` may be null.
struct ChannelSumsCall {
  DType dtype;
  NormShape shape;
  const void* grad;
  const void* input;
  const void* mean;
  double* sums;  // (channels, 2)
  ReluCall relu = {};
};
void sum_channels(const ChannelSumsCall& call);

/// output = (input - mean) rstd weight + bias + residual, and then relu; of spatial 1.
struct NormalizeColumnsCall {
  DType dtype;
  NormShape shape;
  const void* input;
  const void* residual;  // may be null
  void* output;
  ColumnStatistics statistics;
  bool relu;
};
void normalize_columns(const NormalizeColumnsCall& call);

/// write_gradient for batch norm of spatial 1; with relu, of the gradients that it lets through
/// where no residual was added.
struct ColumnGradientCall {
  DType dtype;
  NormShape shape;
  const void* grad;
  const void* input;
  void* grad_input;
  ColumnStatistics statistics;
  const void* slope;  // compute dtype; may be null, with shift
  const void* shift;
  bool relu;
};
void write_column_gradient(const ColumnGradientCall& call);

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
void batch_norm_relu(const BatchNormReluArgs& args);
void batch_norm_relu_backward(const BatchNormReluBackwardArgs& args);

}  // namespace taut::kernels::cuda
