#include "kernels/attention/mma_backward_cuda.cuh"
#include "kernels/attention/mma_parts_cuda.h"

namespace taut::kernels::cuda {

bool mma_backward_bfloat16(const AttentionBackwardArgs& args, const float* delta) {
  return run_mma_backward<__nv_bfloat16>(args, delta);
}

}  // namespace taut::kernels::cuda
