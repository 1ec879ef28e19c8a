// The CUDA runtime of a build without CUDA: no devices, and a clear error for whoever asks for one.

#include "src/core/cuda_runtime.h"
#include "taut/base/check.h"

namespace taut::cuda {
namespace {

[[noreturn]] void raise_not_built(Device device) {
  detail::raise<DeviceError>("device: ", device,
                             " is not available: this build of taut has no CUDA kernels; configure "
                             "with -DTAUT_WITH_CUDA=ON");
}

}  // namespace

int device_count() { return 0; }
bool is_available() { return false; }
bool is_built() { return false; }
void synchronize(Device device) { raise_not_built(device); }

Block allocate(Device device, size_t) { raise_not_built(device); }
MemoryStats memory_stats(Device device) { raise_not_built(device); }
void reset_peak_memory_stats(Device device) { raise_not_built(device); }
void empty_cache(Device device) { raise_not_built(device); }
void copy_bytes(void*, Device target, const void*, Device source, size_t) {
  raise_not_built(target.is_cpu() ? source : target);
}
void* current_stream(Device) { return nullptr; }

}  // namespace taut::cuda
