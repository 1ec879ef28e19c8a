// A build without CUDA: there is no GPU to tell of.

#include "src/profiler/cupti.h"

namespace taut::profiler {

std::string cupti_start() { return "this build of taut has no CUDA kernels"; }
CuptiRecording cupti_stop() { return {}; }
bool cupti_push(uint64_t) noexcept { return false; }
void cupti_pop() noexcept {}

}  // namespace taut::profiler
