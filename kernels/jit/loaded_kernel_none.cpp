// A build without CUDA: code can be compiled, but there is nothing to run it on.

#include "kernels/jit/loaded_kernel.h"
#include "taut/base/check.h"

namespace taut::kernels::jit {
namespace {

[[noreturn]] void raise_not_built() {
  detail::raise<DeviceError>(
      "kernel: this build of taut has no CUDA; configure with -DTAUT_WITH_CUDA=ON");
}

}  // namespace

std::string current_architecture() { raise_not_built(); }
LoadedKernel& load(const CompiledCode&, const char*) { raise_not_built(); }
std::vector<size_t> parameter_sizes(const LoadedKernel&, size_t) { raise_not_built(); }
void launch(LoadedKernel&, const LaunchShape&, void**) { raise_not_built(); }

}  // namespace taut::kernels::jit
