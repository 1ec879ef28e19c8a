#include "src/fusion/backend.h"

#include <atomic>
#include <vector>

#include "kernels/jit/compile.h"
#include "kernels/jit/loaded_kernel.h"
#include "src/core/cuda_runtime.h"

namespace taut::fusion {
namespace {

using kernels::jit::CompiledCode;
using kernels::jit::LoadedKernel;

const void* compile(const KernelCode& kernel, const std::string& architecture) {
  // Functions that say nothing of where they run, as those of the functors, are for the device.
  // Division and square roots are within two units of the last place: rounding, not more.
  const std::vector<std::string> options = {"--device-as-default-execution-space",
                                            "--prec-div=false", "--prec-sqrt=false"};
  return &kernels::jit::compiled({kernel.source, kKernelName, options, architecture});
}

void* load(const void* compiled) {
  return &kernels::jit::load(*static_cast<const CompiledCode*>(compiled), "fused kernel");
}

void launch(void* loaded, const KernelCode& kernel, KernelArguments& arguments) {
  void* parameters[] = {&arguments};
  kernels::jit::launch(*static_cast<LoadedKernel*>(loaded),
                       {.grid = {kernel.grid[0], kernel.grid[1], 1},
                        .block = {kernel.threads, 1, 1},
                        .shared_memory = kernel.shared_memory},
                       parameters);
}

constexpr Backend kGpu = {
    .device = DeviceType::cuda,
    .enter = cuda::enter,
    .architecture = kernels::jit::current_architecture,
    .compile = compile,
    .load = load,
    .launch = launch,
};

constinit std::atomic<const Backend*> current{&kGpu};

}  // namespace

const Backend& backend() { return *current.load(std::memory_order_acquire); }
void set_backend(const Backend* given) {
  current.store(given == nullptr ? &kGpu : given, std::memory_order_release);
}

}  // namespace taut::fusion
