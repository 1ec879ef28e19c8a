#pragma once
// The family is compiled in two files; each fills its part of the table.

#include "kernels/api/softmax.h"

namespace taut::kernels {

void fill_softmax_kernels(SoftmaxKernels& table);
void fill_cross_entropy_kernels(SoftmaxKernels& table);

}  // namespace taut::kernels
