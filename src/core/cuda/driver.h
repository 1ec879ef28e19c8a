#pragma once
// Functions of the driver, found by way of the runtime, so that nothing links to libcuda.

#include "src/core/cuda/context.h"

namespace taut::cuda {

/// @throws CudaError when the driver is too old to have it.
template <class Function>
void find_in_driver(Function& function, const char* name) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  // 12.0 is the oldest toolkit that Taut is built with.
  check(name, cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result));
  TAUT_CHECK(result == cudaDriverEntryPointSuccess && found != nullptr, CudaError,
             "cuda: the driver has no ", name, "; it is older than CUDA 12");
  function = reinterpret_cast<Function>(found);
}

}  // namespace taut::cuda
