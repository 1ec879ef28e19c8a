#include "kernels/scan/scan_cuda.h"

namespace taut::kernels {

ScanKernels scan_kernels_cuda() {
  ScanKernels table;
  table.cumsum = cuda::cumsum;
  table.cumprod = cuda::cumprod;
  table.logcumsumexp = cuda::logcumsumexp;
  table.cummax = cuda::cummax;
  table.cummin = cuda::cummin;
  return table;
}

}  // namespace taut::kernels
