// Attention on CUDA: by cuDNN where it has a kernel, by our own otherwise.

#include "kernels/api/attention.h"
#include "kernels/attention/cudnn_attention.h"
#include "kernels/attention/flash_attention.h"

namespace taut::kernels {
namespace {

void forward(const AttentionArgs& args) {
  if (!cuda::run_cudnn_attention(args)) cuda::run_flash_attention(args);
}

void backward(const AttentionBackwardArgs& args) {
  if (!cuda::run_cudnn_attention_backward(args)) cuda::run_flash_attention_backward(args);
}

}  // namespace

AttentionKernels attention_kernels_cuda() { return {.forward = forward, .backward = backward}; }

}  // namespace taut::kernels
