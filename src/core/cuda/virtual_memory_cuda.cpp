#include <cuda.h>

#include <unordered_map>
#include <vector>

#include "src/core/cuda/context.h"
#include "src/core/cuda/launch_context.h"
#include "src/core/cuda/virtual_memory.h"
#include "taut/core/cuda.h"

namespace taut::cuda {
namespace {

struct Driver {
  decltype(&::cuMemAddressReserve) address_reserve;
  decltype(&::cuMemAddressFree) address_free;
  decltype(&::cuMemCreate) create;
  decltype(&::cuMemRelease) release;
  decltype(&::cuMemMap) map;
  decltype(&::cuMemUnmap) unmap;
  decltype(&::cuMemSetAccess) set_access;
};

template <class Function>
void find(Function& function, const char* name) {
  function = reinterpret_cast<Function>(driver_function(name));
}

const Driver& driver() {
  static const Driver functions = [] {
    Driver result{};
    find(result.address_reserve, "cuMemAddressReserve");
    find(result.address_free, "cuMemAddressFree");
    find(result.create, "cuMemCreate");
    find(result.release, "cuMemRelease");
    find(result.map, "cuMemMap");
    find(result.unmap, "cuMemUnmap");
    find(result.set_access, "cuMemSetAccess");
    return result;
  }();
  return functions;
}

CUdeviceptr address_of(const char* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

// Small enough that holes between blocks can be emptied, and what all GPUs map at once.
constexpr size_t kPage = size_t{2} << 20;

class VirtualMemory final : public DeviceMemory {
 public:
  explicit VirtualMemory(Device device) : device_(device) {
    const RuntimeGuard guard(device_);
    size_t free = 0;
    check("cudaMemGetInfo", cudaMemGetInfo(&free, &total_));
    allow(device.index());
    for (int peer = 0; peer < device_count(); ++peer) {
      int can = 0;
      if (peer != device.index() &&
          cudaDeviceCanAccessPeer(&can, peer, device.index()) == cudaSuccess && can != 0) {
        allow(peer);
      }
    }
  }

  size_t page_bytes() const override { return kPage; }
  size_t total_bytes() const override { return total_; }
  size_t free_bytes() const override {
    const RuntimeGuard guard(device_);
    size_t free = 0;
    size_t total = 0;
    check("cuda", cudaMemGetInfo(&free, &total));
    return free;
  }

  char* reserve(size_t bytes) override {
    CUdeviceptr address = 0;
    if (driver().address_reserve(&address, bytes, kPage, 0, 0) != CUDA_SUCCESS) return nullptr;
    return reinterpret_cast<char*>(address);
  }
  void unreserve(char* address, size_t bytes) noexcept override {
    driver().address_free(address_of(address), bytes);
  }

  bool map(char* address, size_t bytes) override {
    CUmemAllocationProp properties = {};
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    properties.location.id = device_.index();
    const RuntimeGuard guard(device_);
    size_t mapped = 0;
    for (; mapped < bytes; mapped += kPage) {
      CUmemGenericAllocationHandle handle = 0;
      if (driver().create(&handle, kPage, &properties, 0) != CUDA_SUCCESS) break;
      const CUresult status = driver().map(address_of(address + mapped), kPage, 0, handle, 0);
      // The mapping keeps the memory; without one it goes back here.
      driver().release(handle);
      if (status != CUDA_SUCCESS) break;
    }
    const bool complete =
        mapped == bytes && driver().set_access(address_of(address), bytes, access_.data(),
                                               access_.size()) == CUDA_SUCCESS;
    if (!complete) unmap(address, mapped);
    return complete;
  }

  void unmap(char* address, size_t bytes) noexcept override {
    for (size_t done = 0; done < bytes; done += kPage) {
      driver().unmap(address_of(address + done), kPage);
    }
  }

  char* allocate_alone(size_t bytes) override {
    const RuntimeGuard guard(device_);
    void* address = nullptr;
    if (cudaMalloc(&address, bytes) != cudaSuccess) {
      cudaGetLastError();  // or the next check would find it
      return nullptr;
    }
    return static_cast<char*>(address);
  }
  void free_alone(char* address) noexcept override {
    int previous = 0;
    cudaGetDevice(&previous);
    cudaSetDevice(device_.index());
    cudaFree(address);
    cudaSetDevice(previous);
  }

  void* record_event(StreamHandle stream) noexcept override {
    cudaEvent_t event = nullptr;
    int previous = 0;
    cudaGetDevice(&previous);
    cudaSetDevice(device_.index());
    bool done = true;
    if (events_.empty()) {
      done = cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess;
    } else {
      event = events_.back();
      events_.pop_back();
    }
    done = done && cudaEventRecord(event, static_cast<cudaStream_t>(stream)) == cudaSuccess;
    cudaSetDevice(previous);
    if (done) return event;
    cudaGetLastError();
    if (event != nullptr) destroy_event(event);
    return nullptr;
  }
  bool is_complete(void* event) noexcept override {
    const cudaError_t status = cudaEventQuery(static_cast<cudaEvent_t>(event));
    if (status == cudaErrorNotReady) cudaGetLastError();
    return status == cudaSuccess;
  }
  // Kept for the next one.
  void destroy_event(void* event) noexcept override {
    events_.push_back(static_cast<cudaEvent_t>(event));
  }
  bool is_capturing(StreamHandle stream) noexcept override {
    return is_captured(static_cast<cudaStream_t>(stream));
  }
  void synchronize() noexcept override {
    int previous = 0;
    cudaGetDevice(&previous);
    cudaSetDevice(device_.index());
    cudaDeviceSynchronize();
    cudaSetDevice(previous);
  }

 private:
  void allow(int index) {
    CUmemAccessDesc access = {};
    access.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    access.location.id = index;
    access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    access_.push_back(access);
  }

  const Device device_;
  size_t total_ = 0;
  std::vector<CUmemAccessDesc> access_;
  std::vector<cudaEvent_t> events_;  // the allocator's lock guards them
};

}  // namespace

std::unique_ptr<DeviceMemory> make_device_memory(Device device) {
  return std::make_unique<VirtualMemory>(device);
}

}  // namespace taut::cuda
