// Starts kernels.
//
// Note [Launches by the driver]
// The runtime looks a kernel up each time that it is launched, which costs a tenth of the launch.
// So each thread keeps what the driver launches in its place, for each device. The first launch of
// a kernel on a thread looks it up through the runtime, which also binds a new thread to the
// device, as the driver alone would not.

#include <cuda.h>

#include <memory>
#include <unordered_map>
#include <utility>

#include "kernels/api/cuda_launch.cuh"
#include "src/core/cuda/driver.h"

namespace taut::kernels::cuda {
namespace {

struct Kernel {
  CUfunction function = nullptr;
  /// Whether the code for this device has the wait of Note [Overlapped launches]. A device that
  /// can overlap may run code made for an older one.
  bool is_overlapping = false;
};

Kernel look_up(const void* kernel) {
  cudaFunction_t function = nullptr;
  check("cuda", cudaGetFuncBySymbol(&function, kernel));
  cudaFuncAttributes attributes{};
  check("cuda", cudaFuncGetAttributes(&attributes, kernel));
  return {function, attributes.ptxVersion >= 90};
}

const Kernel& find_kernel(const void* kernel) {
  using Kernels = std::unordered_map<const void*, Kernel>;
  thread_local const auto of_devices = std::make_unique<Kernels[]>(taut::cuda::kMaxDevices);
  Kernels& known = of_devices[static_cast<size_t>(taut::cuda::launch_device())];
  const auto found = known.find(kernel);
  if (found != known.end()) return found->second;
  return known.emplace(kernel, look_up(kernel)).first->second;
}

decltype(&::cuLaunchKernelEx) driver_launch() {
  static const auto function = [] {
    decltype(&::cuLaunchKernelEx) result = nullptr;
    taut::cuda::find_in_driver(result, "cuLaunchKernelEx");
    return result;
  }();
  return function;
}

thread_local CUresult failure = CUDA_SUCCESS;

}  // namespace

void launch_kernel_with(const void* kernel, const LaunchShape& shape, void** arguments) {
  const Kernel& known = find_kernel(kernel);
  CUlaunchAttribute overlap{};
  overlap.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  overlap.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config{};
  config.gridDimX = shape.grid.x;
  config.gridDimY = shape.grid.y;
  config.gridDimZ = shape.grid.z;
  config.blockDimX = shape.block.x;
  config.blockDimY = shape.block.y;
  config.blockDimZ = shape.block.z;
  config.sharedMemBytes = static_cast<unsigned>(shape.shared_bytes);
  config.hStream = stream();
  config.attrs = &overlap;
  config.numAttrs = known.is_overlapping ? 1 : 0;
  const CUresult status = driver_launch()(&config, known.function, arguments, nullptr);
  if (status != CUDA_SUCCESS) failure = status;
}

void check_launch(const char* op) {
  const CUresult status = std::exchange(failure, CUDA_SUCCESS);
  // The driver's numbers are the runtime's.
  TAUT_CHECK(status == CUDA_SUCCESS, CudaError, op, ": the kernel could not be launched: ",
             cudaGetErrorString(static_cast<cudaError_t>(status)));
  taut::cuda::synchronize_when_debugging(op);
}

}  // namespace taut::kernels::cuda
