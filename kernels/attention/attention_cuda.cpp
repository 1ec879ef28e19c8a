// Attention on CUDA: by cuDNN where it has a kernel, by our own otherwise.

#include "kernels/api/attention.h"
#include "kernels/attention/cudnn_attention.h"
#include "taut/base/check.h"

namespace taut::kernels {
namespace {

void forward(const AttentionArgs& args) {
  if (cuda::run_cudnn_attention(args)) return;
  detail::raise<NotImplementedError>("scaled_dot_product_attention: no CUDA kernel for ",
                                     args.dtype, " of width ", args.width);
}

void backward(const AttentionBackwardArgs& args) {
  if (cuda::run_cudnn_attention_backward(args)) return;
  detail::raise<NotImplementedError>("scaled_dot_product_attention: no CUDA kernel for ",
                                     args.dtype, " of width ", args.width);
}

}  // namespace

AttentionKernels attention_kernels_cuda() { return {.forward = forward, .backward = backward}; }

}  // namespace taut::kernels
