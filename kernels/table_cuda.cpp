// The CUDA table: every kernel that the CPU has.

#include "kernels/api/table.h"

namespace taut::kernels {

const KernelTable& cuda_table() {
  static const KernelTable table = {
      .pointwise = pointwise_kernels_cuda(),
      .copy = copy_kernels_cuda(),
      .reduce = reduce_kernels_cuda(),
      .matmul = matmul_kernels_cuda(),
      .softmax = softmax_kernels_cuda(),
      .norm = norm_kernels_cuda(),
      .optim = optim_kernels_cuda(),
      .random = random_kernels_cuda(),
      .index = index_kernels_cuda(),
      .conv = conv_kernels_cuda(),
      .pool = pool_kernels_cuda(),
      .scan = scan_kernels_cuda(),
      .sort = sort_kernels_cuda(),
      .gated = gated_kernels_cuda(),
      .rotary = rotary_kernels_cuda(),
      .attention = attention_kernels_cuda(),
  };
  return table;
}

}  // namespace taut::kernels
