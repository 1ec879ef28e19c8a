#include "kernels/attention/mma_forward_cuda.cuh"
#include "kernels/attention/mma_parts_cuda.h"

namespace taut::kernels::cuda {

bool mma_forward_bfloat16(const AttentionArgs& args) {
  return run_mma_forward<__nv_bfloat16>(args);
}

}  // namespace taut::kernels::cuda
