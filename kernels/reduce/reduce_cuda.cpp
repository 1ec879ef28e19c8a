#include "kernels/reduce/reduce_cuda.h"

namespace taut::kernels {

ReduceKernels reduce_kernels_cuda() {
  ReduceKernels table;
  cuda::fill_sum_launches(table);
  cuda::fill_product_launches(table);
  cuda::fill_extremum_launches(table);
  cuda::fill_logic_launches(table);
  cuda::fill_moment_launches(table);
  cuda::fill_norm_launches(table);
  cuda::fill_index_launches(table);
  return table;
}

}  // namespace taut::kernels
