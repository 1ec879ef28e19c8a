#include "kernels/scan/running_value.cuh"
#include "kernels/scan/scan_cuda.h"

namespace taut::kernels::cuda {
namespace {

struct Add {
  template <class A>
  __device__ static A identity() {
    return A(0);
  }
  template <class A>
  __device__ static A combine(A a, A b) {
    return a + b;
  }
};

}  // namespace

void cumsum(const ScanArgs& args) { scan_values<Add>("cumsum", args); }

}  // namespace taut::kernels::cuda
