#include "kernels/scan/running_extremum.cuh"
#include "kernels/scan/scan_cuda.h"

namespace taut::kernels::cuda {

void cummin(const IndexScanArgs& args) { scan_extrema<false>("cummin", args); }

}  // namespace taut::kernels::cuda
