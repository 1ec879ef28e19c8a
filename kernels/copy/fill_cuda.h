#pragma once
// The slots of copy_kernels_cuda() that only write.

#include "kernels/api/copy.h"

namespace taut::kernels::cuda {

void fill(const FillArgs& args);
void arange(const ArangeArgs& args);

}  // namespace taut::kernels::cuda
