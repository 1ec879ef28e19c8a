#pragma once
// Attention by cuDNN.

#include "kernels/api/attention.h"

namespace taut::kernels::cuda {

/// Runs the pass. Returns false, with nothing done, when this build has no cuDNN, or cuDNN no
/// kernel for it, or when the shape has not turned up often enough yet to be worth a plan (Note
/// [Plans that pay]), unless the plan is to be made `at_once`.
bool run_cudnn_attention(const AttentionArgs& args, bool at_once);
bool run_cudnn_attention_backward(const AttentionBackwardArgs& args, bool at_once);

}  // namespace taut::kernels::cuda
