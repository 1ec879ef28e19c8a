#include "kernels/attention/mma_forward_cuda.cuh"
#include "kernels/attention/mma_parts_cuda.h"

namespace taut::kernels::cuda {

bool mma_forward_half(const AttentionArgs& args) { return run_mma_forward<__half>(args); }

}  // namespace taut::kernels::cuda
