#pragma once
// The family is compiled in several files; each fills its part of the table.

#include "kernels/api/norm.h"

namespace taut::kernels {

void fill_layer_norm_kernels(NormKernels& table);  // layer_norm, rms_norm
void fill_group_norm_kernels(NormKernels& table);
void fill_batch_norm_kernels(NormKernels& table);

}  // namespace taut::kernels
