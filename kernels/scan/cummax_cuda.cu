#include "kernels/scan/running_extremum.cuh"
#include "kernels/scan/scan_cuda.h"

namespace taut::kernels::cuda {

void cummax(const IndexScanArgs& args) { scan_extrema<true>("cummax", args); }

}  // namespace taut::kernels::cuda
