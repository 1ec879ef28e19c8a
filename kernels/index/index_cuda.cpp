#include "kernels/index/index_cuda.h"

namespace taut::kernels {

IndexKernels index_kernels_cuda() {
  IndexKernels table;
  table.get = cuda::get;
  table.put = cuda::put;
  table.embedding_backward = cuda::embedding_backward;
  table.count_nonzero = cuda::count_nonzero;
  table.nonzero = cuda::nonzero;
  table.masked_select = cuda::masked_select;
  table.masked_scatter = cuda::masked_scatter;
  return table;
}

}  // namespace taut::kernels
