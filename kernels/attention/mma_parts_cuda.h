#pragma once
// The kernels on tensor cores are compiled in several files, one for each pass and dtype.

#include "kernels/api/attention.h"

namespace taut::kernels::cuda {

bool mma_forward_half(const AttentionArgs& args);
bool mma_forward_bfloat16(const AttentionArgs& args);
bool mma_backward_half(const AttentionBackwardArgs& args, const float* delta);
bool mma_backward_bfloat16(const AttentionBackwardArgs& args, const float* delta);

}  // namespace taut::kernels::cuda
