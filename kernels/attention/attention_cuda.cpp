// Attention on CUDA: by cuDNN where it has a kernel whose plan pays, by our own otherwise.

#include <atomic>

#include "kernels/api/attention.h"
#include "kernels/attention/cudnn_attention.h"
#include "kernels/attention/flash_attention.h"

namespace taut::kernels {
namespace {

using cuda::AttentionKernelSet;

std::atomic<AttentionKernelSet> allowed = AttentionKernelSet::all;

bool takes_cudnn(AttentionKernelSet set) {
  return set == AttentionKernelSet::all || set == AttentionKernelSet::cudnn;
}

void forward(const AttentionArgs& args) {
  const AttentionKernelSet set = allowed.load(std::memory_order_relaxed);
  if (takes_cudnn(set) && cuda::run_cudnn_attention(args, set == AttentionKernelSet::cudnn)) return;
  cuda::run_flash_attention(args, set != AttentionKernelSet::plain);
}

void backward(const AttentionBackwardArgs& args) {
  const AttentionKernelSet set = allowed.load(std::memory_order_relaxed);
  const bool at_once = set == AttentionKernelSet::cudnn;
  if (takes_cudnn(set) && cuda::run_cudnn_attention_backward(args, at_once)) return;
  cuda::run_flash_attention_backward(args, set != AttentionKernelSet::plain);
}

}  // namespace

void cuda::limit_attention_kernels(AttentionKernelSet set) { allowed = set; }

AttentionKernels attention_kernels_cuda() { return {.forward = forward, .backward = backward}; }

}  // namespace taut::kernels
