#include "kernels/index/index_kernels.h"

namespace taut::kernels {

IndexKernels index_kernels_cpu() {
  IndexKernels table;
  table.get = index_cpu::get;
  table.put = index_cpu::put;
  table.embedding_backward = index_cpu::embedding_backward;
  table.count_nonzero = index_cpu::count_nonzero;
  table.nonzero = index_cpu::nonzero;
  table.masked_select = index_cpu::masked_select;
  table.masked_scatter = index_cpu::masked_scatter;
  return table;
}

}  // namespace taut::kernels
