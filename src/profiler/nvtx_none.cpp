// A build without CUDA has no NVTX.

#include "src/profiler/nvtx.h"
#include "taut/profiler/profiler.h"

namespace taut::profiler {

bool has_nvtx() { return false; }
void nvtx_push(const char*) noexcept {}
void nvtx_pop() noexcept {}

}  // namespace taut::profiler
