#pragma once
// Convolutions (cross-correlations, as in PyTorch) over 1 to 3 spatial dims, channels first and
// contiguous unless `channels_last` says otherwise. A transposed convolution is backward_input with
// its own input as grad_output.

#include <cstdint>

#include "kernels/api/epilogue.h"
#include "kernels/api/precision.h"
#include "taut/base/macros.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// The geometry of a convolution. The Dims have one entry for each spatial dim (1 to 3).
/// `padding` counts the zeros before the first element; those after the last follow from
/// output_size, so that they may differ. An output element o reads, for each kernel offset t, the
/// input at o * stride + t * dilation - padding, which is zero outside of the input.
struct ConvShape {
  int64_t batch = 0;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t groups = 1;  // divides both channel counts
  Dims input_size;
  Dims output_size;
  Dims kernel_size;
  Dims stride;
  Dims padding;
  Dims dilation;
};

/// output[b][o][p] = activation(bias[o] + sum over c, t of input[b][c][p*stride + t*dilation -
/// padding] * weight[o][c][t]), c over the channels of o's group.
/// input: (batch, in_channels, input_size...), weight: (out_channels, in_channels / groups,
/// kernel_size...), bias: (out_channels) or null, output: (batch, out_channels, output_size...).
/// dtype, here and below: floating.
struct ConvForwardArgs {
  DType dtype = DType::float32;
  ConvShape shape;
  bool channels_last = false;                              // all of the tensors
  Float32Precision precision = Float32Precision::highest;  // GPUs only
  const void* input = nullptr;
  const void* weight = nullptr;
  const void* bias = nullptr;
  void* output = nullptr;
  Activation activation = Activation::none;
};

/// grad_input[b][c][q] = bias[c] + sum of grad_output[b][o][p] * weight[o][c][t] over all o, p, t
/// with p*stride + t*dilation - padding == q. bias: (in_channels) or null, for transposed
/// convolutions.
struct ConvBackwardInputArgs {
  DType dtype = DType::float32;
  ConvShape shape;
  bool channels_last = false;                              // all of the tensors
  Float32Precision precision = Float32Precision::highest;  // GPUs only
  const void* grad_output = nullptr;
  const void* weight = nullptr;
  const void* bias = nullptr;
  void* grad_input = nullptr;
};

/// grad_weight[o][c][t] = sum over b, p of grad_output[b][o][p] * input[b][c][p*stride + t*dilation
/// - padding], and, unless null, grad_bias[o] = sum over b, p of grad_output[b][o][p].
/// grad_weight may be null too, when only the bias wants a gradient.
struct ConvBackwardWeightArgs {
  DType dtype = DType::float32;
  ConvShape shape;
  bool channels_last = false;                              // all of the tensors
  Float32Precision precision = Float32Precision::highest;  // GPUs only
  const void* input = nullptr;
  const void* grad_output = nullptr;
  void* grad_weight = nullptr;
  void* grad_bias = nullptr;
};

/// columns[b][c * taps + t][p] = input[b][c][p*stride + t*dilation - padding], with taps the number
/// of kernel offsets: PyTorch's unfold. out_channels and groups of the shape are not read.
struct UnfoldArgs {
  DType dtype = DType::float32;
  ConvShape shape;
  const void* input = nullptr;
  void* columns = nullptr;
};

/// The transpose of unfold: output[b][c][q] = sum of columns[b][c * taps + t][p] over all t, p with
/// p*stride + t*dilation - padding == q.
struct FoldArgs {
  DType dtype = DType::float32;
  ConvShape shape;  // input_size is the size of the output of fold
  const void* columns = nullptr;
  void* output = nullptr;
};

struct ConvKernels {
  void (*forward)(const ConvForwardArgs& args) = nullptr;
  void (*backward_input)(const ConvBackwardInputArgs& args) = nullptr;
  void (*backward_weight)(const ConvBackwardWeightArgs& args) = nullptr;
  void (*unfold)(const UnfoldArgs& args) = nullptr;
  void (*fold)(const FoldArgs& args) = nullptr;
};

TAUT_API ConvKernels conv_kernels_cpu();
ConvKernels conv_kernels_cuda();

}  // namespace taut::kernels
