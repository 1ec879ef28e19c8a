#include <cuda.h>
#include <cuda_runtime_api.h>

#include <atomic>
#include <map>
#include <mutex>

#include "kernels/jit/loaded_kernel.h"
#include "src/core/cuda/launch_context.h"
#include "taut/base/check.h"

namespace taut::kernels::jit {
namespace {

constexpr int kMaxDevices = 64;
using GetParameterInfo = CUresult (*)(CUkernel, size_t, size_t*, size_t*);

struct Driver {
  decltype(&::cuLibraryLoadData) load;
  decltype(&::cuLibraryGetKernel) get_kernel;
  decltype(&::cuKernelGetAttribute) get_attribute;
  decltype(&::cuKernelSetAttribute) set_attribute;
  decltype(&::cuLaunchKernel) launch;
  decltype(&::cuGetErrorString) error_string;
  decltype(&::cuDeviceGet) get_device;
  decltype(&::cuDeviceGetAttribute) device_attribute;
  GetParameterInfo parameter_info;  // null before 12.4
};

template <class Function>
void find(Function& function, const char* name) {
  function = reinterpret_cast<Function>(taut::cuda::driver_function(name));
}

const Driver& driver() {
  static const Driver functions = [] {
    Driver result{};
    find(result.load, "cuLibraryLoadData");
    find(result.get_kernel, "cuLibraryGetKernel");
    find(result.get_attribute, "cuKernelGetAttribute");
    find(result.set_attribute, "cuKernelSetAttribute");
    find(result.launch, "cuLaunchKernel");
    find(result.error_string, "cuGetErrorString");
    find(result.get_device, "cuDeviceGet");
    find(result.device_attribute, "cuDeviceGetAttribute");
    result.parameter_info = reinterpret_cast<GetParameterInfo>(
        taut::cuda::find_driver_function("cuKernelGetParamInfo", 12040));
    return result;
  }();
  return functions;
}

const char* text_of(CUresult status) {
  const char* text = nullptr;
  driver().error_string(status, &text);
  return text == nullptr ? "unknown error" : text;
}

// The driver asks for a context on the thread, which the runtime makes at its first call there.
void enter_device(int device) {
  static thread_local uint64_t entered = 0;
  const uint64_t bit = uint64_t{1} << device;
  if (TAUT_LIKELY((entered & bit) != 0)) return;
  cudaError_t status = cudaSetDevice(device);
  if (status == cudaSuccess) status = cudaFree(nullptr);
  TAUT_CHECK(status == cudaSuccess, CudaError, "kernel: ", cudaGetErrorString(status));
  entered |= bit;
}

// What the driver calls the device.
CUdevice handle_of(int device) {
  CUdevice handle = 0;
  const CUresult status = driver().get_device(&handle, device);
  TAUT_CHECK(status == CUDA_SUCCESS, CudaError, "cuDeviceGet: ", text_of(status));
  return handle;
}

int device_value(CUdevice_attribute attribute, int device) {
  int value = 0;
  const CUresult status = driver().device_attribute(&value, attribute, handle_of(device));
  TAUT_CHECK(status == CUDA_SUCCESS, CudaError, "cuDeviceGetAttribute: ", text_of(status));
  return value;
}

}  // namespace

struct LoadedKernel {
  const char* name = nullptr;
  CUkernel handle = nullptr;
  std::mutex mutex;
  // How much dynamic shared memory each GPU was told of.
  std::atomic<uint32_t> shared_memory[kMaxDevices] = {};
};

std::string current_architecture() {
  const int device = taut::cuda::launch_device();
  enter_device(device);
  static std::mutex mutex;
  static std::string known[kMaxDevices];
  const std::lock_guard lock(mutex);
  std::string& result = known[device];
  if (result.empty()) {
    const int major = device_value(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
    const int minor = device_value(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
    result = architecture_for(10 * major + minor);
  }
  return result;
}

LoadedKernel& load(const CompiledCode& code, const char* name) {
  static std::mutex mutex;
  static auto& kernels = *new std::map<const CompiledCode*, LoadedKernel>;
  enter_device(taut::cuda::launch_device());
  const std::lock_guard lock(mutex);
  LoadedKernel& kernel = kernels[&code];
  if (kernel.handle != nullptr) return kernel;
  CUlibrary library = nullptr;
  CUresult status =
      driver().load(&library, code.image.data(), nullptr, nullptr, 0, nullptr, nullptr, 0);
  TAUT_CHECK(status == CUDA_SUCCESS, CudaError, name,
             ": the driver could not load its code: ", text_of(status));
  status = driver().get_kernel(&kernel.handle, library, code.symbol.c_str());
  TAUT_CHECK(status == CUDA_SUCCESS, CudaError, name, ": the compiled code has no ", code.symbol,
             ": ", text_of(status), "; is it a __global__ function?");
  kernel.name = name;
  return kernel;
}

std::vector<size_t> parameter_sizes(const LoadedKernel& kernel, size_t count) {
  std::vector<size_t> sizes;
  if (driver().parameter_info == nullptr) return sizes;
  for (size_t i = 0; i < count; ++i) {
    size_t offset = 0;
    size_t size = 0;
    const CUresult status = driver().parameter_info(kernel.handle, i, &offset, &size);
    TAUT_CHECK(status == CUDA_SUCCESS, CudaError, kernel.name, ": parameter ", i, " of ", count,
               " is not there: ", text_of(status));
    sizes.push_back(size);
  }
  return sizes;
}

namespace {

// Without being told a kernel has 48 KiB, less what is static.
void allow_shared_memory(LoadedKernel& kernel, int device, uint32_t bytes) {
  std::atomic<uint32_t>& allowed = kernel.shared_memory[device];
  if (TAUT_LIKELY(bytes <= allowed.load(std::memory_order_acquire))) return;
  const std::lock_guard lock(kernel.mutex);
  if (bytes <= allowed.load(std::memory_order_relaxed)) return;
  const CUresult status =
      driver().set_attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                             static_cast<int>(bytes), kernel.handle, handle_of(device));
  TAUT_CHECK(status == CUDA_SUCCESS, CudaError, kernel.name, ": shared_memory is ", bytes,
             " bytes; a block of this GPU has at most ",
             device_value(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, device),
             ", static shared memory included");
  allowed.store(bytes, std::memory_order_release);
}

[[noreturn]] void raise_failed_launch(const LoadedKernel& kernel, int device,
                                      const LaunchShape& shape, CUresult status) {
  int threads = 0;
  driver().get_attribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kernel.handle,
                         handle_of(device));
  const auto& [grid, block, shared_memory] = shape;
  taut::detail::raise<CudaError>(
      kernel.name, ": it could not be launched: ", text_of(status), "; got grid (", grid[0], ", ",
      grid[1], ", ", grid[2], "), block (", block[0], ", ", block[1], ", ", block[2], ") and ",
      shared_memory, " bytes of dynamic shared memory; it takes at most ", threads,
      " threads in a block on this GPU");
}

}  // namespace

void launch(LoadedKernel& kernel, const LaunchShape& shape, void** parameters) {
  const int device = taut::cuda::launch_device();
  enter_device(device);
  allow_shared_memory(kernel, device, shape.shared_memory);
  const CUresult status = driver().launch(
      reinterpret_cast<CUfunction>(kernel.handle), shape.grid[0], shape.grid[1], shape.grid[2],
      shape.block[0], shape.block[1], shape.block[2], shape.shared_memory,
      static_cast<CUstream>(taut::cuda::launch_stream()), parameters, nullptr);
  if (TAUT_UNLIKELY(status != CUDA_SUCCESS)) raise_failed_launch(kernel, device, shape, status);
  taut::cuda::synchronize_when_debugging(kernel.name);
}

}  // namespace taut::kernels::jit
