#include "kernels/api/reduce.h"
#include "kernels/reduce/reduce_parts.h"

namespace taut::kernels {

ReduceKernels reduce_kernels_cpu() {
  ReduceKernels table;
  fill_sum_kernels(table);
  fill_extremum_kernels(table);
  fill_logic_kernels(table);
  fill_moment_kernels(table);
  fill_norm_kernels(table);
  fill_index_kernels(table);
  return table;
}

}  // namespace taut::kernels
