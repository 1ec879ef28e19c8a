// The CUDA runtime as the core uses it. Memory is stream-ordered and cached by the driver's own
// pool, whose blocks are kept rather than given back at each synchronisation.

#include <cuda_runtime_api.h>

#include <atomic>
#include <mutex>

#include "src/core/cuda_runtime.h"
#include "taut/base/check.h"

namespace taut::cuda {
namespace {

constexpr int kMaxDevices = 64;

void check(const char* what, cudaError_t status) {
  TAUT_CHECK(status == cudaSuccess, CudaError, what, ": ", cudaGetErrorString(status));
}

void check_device(Device device) {
  const int count = device_count();
  TAUT_CHECK(device.index() < count, DeviceError, "device: ", device,
             " is not there; this machine ",
             count == 0 ? "has no GPU that CUDA can use" : concat("has ", count, " GPUs"));
}

// Makes a device current for a scope.
class DeviceGuard {
 public:
  explicit DeviceGuard(Device device) {
    check("cudaGetDevice", cudaGetDevice(&previous_));
    if (previous_ != device.index()) check("cudaSetDevice", cudaSetDevice(device.index()));
    current_ = device.index();
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;
  ~DeviceGuard() {
    if (previous_ != current_) cudaSetDevice(previous_);
  }

 private:
  int previous_ = 0;
  int current_ = 0;
};

struct Counters {
  std::atomic<int64_t> allocated{0};
  std::atomic<int64_t> peak{0};
  std::atomic<int64_t> allocations{0};
};
Counters counters[kMaxDevices];

void keep_freed_blocks(Device device) {
  static std::once_flag flags[kMaxDevices];
  std::call_once(flags[device.index()], [&] {
    cudaMemPool_t pool = nullptr;
    check("cudaDeviceGetDefaultMemPool", cudaDeviceGetDefaultMemPool(&pool, device.index()));
    uint64_t threshold = ~uint64_t{0};
    check("cudaMemPoolSetAttribute",
          cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
  });
}

uint64_t pool_attribute(Device device, cudaMemPoolAttr attribute) {
  cudaMemPool_t pool = nullptr;
  check("cudaDeviceGetDefaultMemPool", cudaDeviceGetDefaultMemPool(&pool, device.index()));
  uint64_t value = 0;
  check("cudaMemPoolGetAttribute", cudaMemPoolGetAttribute(pool, attribute, &value));
  return value;
}

void release(void* data, size_t bytes, void* context) noexcept {
  if (data == nullptr) return;
  const int index = static_cast<int>(reinterpret_cast<intptr_t>(context));
  int previous = 0;
  cudaGetDevice(&previous);
  if (previous != index) cudaSetDevice(index);
  cudaFreeAsync(data, nullptr);
  if (previous != index) cudaSetDevice(previous);
  counters[index].allocated.fetch_sub(static_cast<int64_t>(bytes));
}

}  // namespace

int device_count() {
  static const int count = [] {
    int found = 0;
    return cudaGetDeviceCount(&found) == cudaSuccess ? found : 0;
  }();
  return count;
}

bool is_available() { return device_count() > 0; }
bool is_built() { return true; }

void synchronize(Device device) {
  check_device(device);
  const DeviceGuard guard(device);
  check("synchronize", cudaDeviceSynchronize());
}

Block allocate(Device device, size_t bytes) {
  check_device(device);
  Block block{.data = nullptr,
              .bytes = bytes,
              .release = &release,
              .context = reinterpret_cast<void*>(static_cast<intptr_t>(device.index()))};
  if (bytes == 0) return block;
  const DeviceGuard guard(device);
  keep_freed_blocks(device);
  const cudaError_t status = cudaMallocAsync(&block.data, bytes, nullptr);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    cudaMemGetInfo(&free_bytes, &total_bytes);
    taut::detail::raise<OutOfMemoryError>("cuda: cannot allocate ", bytes, " bytes on ", device,
                                          "; ", counters[device.index()].allocated.load(),
                                          " bytes are in tensors, ", free_bytes, " bytes of ",
                                          total_bytes, " are free");
  }
  check("cudaMallocAsync", status);
  Counters& mine = counters[device.index()];
  mine.allocations.fetch_add(1);
  const int64_t now =
      mine.allocated.fetch_add(static_cast<int64_t>(bytes)) + static_cast<int64_t>(bytes);
  int64_t peak = mine.peak.load();
  while (now > peak && !mine.peak.compare_exchange_weak(peak, now)) {
  }
  return block;
}

MemoryStats memory_stats(Device device) {
  check_device(device);
  const Counters& mine = counters[device.index()];
  return {
      .allocated = mine.allocated.load(),
      .reserved = static_cast<int64_t>(pool_attribute(device, cudaMemPoolAttrReservedMemCurrent)),
      .max_allocated = mine.peak.load(),
      .allocations = mine.allocations.load(),
      .system_allocations = 0};
}

void reset_peak_memory_stats(Device device) {
  check_device(device);
  Counters& mine = counters[device.index()];
  mine.peak.store(mine.allocated.load());
}

void empty_cache(Device device) {
  check_device(device);
  const DeviceGuard guard(device);
  check("synchronize", cudaDeviceSynchronize());
  cudaMemPool_t pool = nullptr;
  check("cudaDeviceGetDefaultMemPool", cudaDeviceGetDefaultMemPool(&pool, device.index()));
  check("cudaMemPoolTrimTo", cudaMemPoolTrimTo(pool, 0));
}

void copy_bytes(void* target, Device target_device, const void* source, Device source_device,
                size_t bytes) {
  const Device gpu = target_device.is_cuda() ? target_device : source_device;
  check_device(gpu);
  const DeviceGuard guard(gpu);
  check("copy", cudaMemcpy(target, source, bytes, cudaMemcpyDefault));
}

void* current_stream(Device) { return nullptr; }

}  // namespace taut::cuda
