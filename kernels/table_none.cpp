// The CUDA table of a build without CUDA.

#include "kernels/api/table.h"
#include "taut/base/check.h"

namespace taut::kernels {

const KernelTable& cuda_table() {
  throw DeviceError(
      "device: cuda is not available: this build of taut has no CUDA kernels; configure with "
      "-DTAUT_WITH_CUDA=ON");
}

}  // namespace taut::kernels
