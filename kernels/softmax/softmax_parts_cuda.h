#pragma once
// The CUDA kernels of the family are compiled in several files; each fills its part of the table.

#include "kernels/api/softmax.h"

namespace taut::kernels::cuda {

void fill_softmax_backward(SoftmaxKernels& table);
void fill_cross_entropy(SoftmaxKernels& table);

}  // namespace taut::kernels::cuda
