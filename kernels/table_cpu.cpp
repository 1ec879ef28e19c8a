#include "kernels/api/table.h"

namespace taut::kernels::detail {

const KernelTable* made_cpu_table = nullptr;

const KernelTable& make_cpu_table() {
  static const KernelTable table{
      .pointwise = pointwise_kernels_cpu(),
      .copy = copy_kernels_cpu(),
      .reduce = reduce_kernels_cpu(),
      .matmul = matmul_kernels_cpu(),
      .softmax = softmax_kernels_cpu(),
      .norm = norm_kernels_cpu(),
      .optim = optim_kernels_cpu(),
      .random = random_kernels_cpu(),
      .index = index_kernels_cpu(),
      .conv = conv_kernels_cpu(),
      .pool = pool_kernels_cpu(),
      .scan = scan_kernels_cpu(),
      .sort = sort_kernels_cpu(),
      .gated = gated_kernels_cpu(),
      .rotary = rotary_kernels_cpu(),
      .attention = {},
  };
  __atomic_store_n(&made_cpu_table, &table, __ATOMIC_RELEASE);
  return table;
}

}  // namespace taut::kernels::detail
