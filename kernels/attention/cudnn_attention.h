#pragma once
// Attention by cuDNN.

#include "kernels/api/attention.h"

namespace taut::kernels::cuda {

/// Runs the pass. Returns false, with nothing done, when this build has no cuDNN, or cuDNN no
/// kernel for it.
bool run_cudnn_attention(const AttentionArgs& args);
bool run_cudnn_attention_backward(const AttentionBackwardArgs& args);

}  // namespace taut::kernels::cuda
