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

#include "src/core/cuda/context.h"
#include "src/core/cuda/launch_context.h"

namespace taut::cuda {
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
  thread_local const auto of_devices = std::make_unique<Kernels[]>(kMaxDevices);
  Kernels& known = of_devices[static_cast<size_t>(launch_device())];
  const auto found = known.find(kernel);
  if (TAUT_LIKELY(found != known.end())) return found->second;
  return known.emplace(kernel, look_up(kernel)).first->second;
}

thread_local CUresult failure = CUDA_SUCCESS;

}  // namespace

void* find_driver_function(const char* name, unsigned version) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  const cudaError_t status =
      cudaGetDriverEntryPointByVersion(name, &found, version, cudaEnableDefault, &result);
  if (status != cudaSuccess) cudaGetLastError();  // or the next look at errors would find it
  return status == cudaSuccess && result == cudaDriverEntryPointSuccess ? found : nullptr;
}

void* driver_function(const char* name) {
  void* found = find_driver_function(name, 12000);
  TAUT_CHECK(found != nullptr, CudaError, "cuda: the driver has no ", name,
             "; it is older than CUDA 12");
  return found;
}

void launch(const void* kernel, const LaunchDims& grid, const LaunchDims& block,
            size_t shared_bytes, void** arguments) {
  static const auto driver_launch =
      reinterpret_cast<decltype(&::cuLaunchKernelEx)>(driver_function("cuLaunchKernelEx"));
  const Kernel& known = find_kernel(kernel);
  CUlaunchAttribute overlap{};
  overlap.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  overlap.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config{};
  config.gridDimX = grid.x;
  config.gridDimY = grid.y;
  config.gridDimZ = grid.z;
  config.blockDimX = block.x;
  config.blockDimY = block.y;
  config.blockDimZ = block.z;
  config.sharedMemBytes = static_cast<unsigned>(shared_bytes);
  config.hStream = static_cast<CUstream>(launch_stream());
  config.attrs = &overlap;
  config.numAttrs = known.is_overlapping ? 1 : 0;
  const CUresult status = driver_launch(&config, known.function, arguments, nullptr);
  if (TAUT_UNLIKELY(status != CUDA_SUCCESS)) failure = status;
}

void check_launch(const char* op) {
  const CUresult status = std::exchange(failure, CUDA_SUCCESS);
  // The driver's numbers are the runtime's.
  TAUT_CHECK(status == CUDA_SUCCESS, CudaError, op, ": the kernel could not be launched: ",
             cudaGetErrorString(static_cast<cudaError_t>(status)));
  synchronize_when_debugging(op);
}

}  // namespace taut::cuda
