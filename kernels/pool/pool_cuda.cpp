#include "kernels/pool/pool_cuda.h"

namespace taut::kernels {

PoolKernels pool_kernels_cuda() {
  PoolKernels table;
  table.max_pool = cuda::max_pool;
  table.max_pool_backward = cuda::max_pool_backward;
  table.avg_pool = cuda::avg_pool;
  table.avg_pool_backward = cuda::avg_pool_backward;
  table.adaptive_avg_pool = cuda::adaptive_avg_pool;
  table.adaptive_avg_pool_backward = cuda::adaptive_avg_pool_backward;
  table.adaptive_max_pool = cuda::adaptive_max_pool;
  return table;
}

}  // namespace taut::kernels
