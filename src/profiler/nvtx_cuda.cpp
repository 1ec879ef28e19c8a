#include "src/profiler/nvtx.h"
#include "taut/profiler/profiler.h"

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define TAUT_HAS_NVTX 1
#else
#define TAUT_HAS_NVTX 0
#endif

namespace taut::profiler {

#if TAUT_HAS_NVTX
bool has_nvtx() { return true; }
void nvtx_push(const char* name) noexcept { nvtxRangePushA(name); }
void nvtx_pop() noexcept { nvtxRangePop(); }
#else
bool has_nvtx() { return false; }
void nvtx_push(const char*) noexcept {}
void nvtx_pop() noexcept {}
#endif

}  // namespace taut::profiler
