#pragma once
// Convolutions by cuDNN.

#include "kernels/api/conv.h"

namespace taut::kernels::cuda {

enum class ConvPass : uint8_t { forward, backward_input, backward_weight };

/// first, second and output of a pass: input, weight, output; grad_output, weight, grad_input;
/// input, grad_output, grad_weight.
struct CudnnConvArgs {
  ConvPass pass;
  DType dtype;
  const ConvShape* shape;
  bool channels_last;
  Float32Precision precision;
  const void* first;
  const void* second;
  void* output;
};

/// Runs the pass, without bias or activation. Returns false, with nothing done, when this build has
/// no cuDNN, or cuDNN no kernel for it.
bool run_cudnn_conv(const CudnnConvArgs& args);

}  // namespace taut::kernels::cuda
