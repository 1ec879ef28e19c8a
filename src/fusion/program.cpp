#include "src/fusion/program.h"

#include <algorithm>

#include "src/core/cuda_runtime.h"
#include "src/ops/allocate.h"

namespace taut::fusion {

Program::Program(Graph& graph, const std::vector<NodeId>& roots, const std::vector<int>& alignments,
                 bool share_results)
    : kernels_(make_kernels(graph, roots, alignments, share_results)) {}

void Program::compile(const std::string& architecture) {
  // Functions that say nothing of where they run, as those of the functors, are for the device.
  // Division and square roots are within two units of the last place: rounding, not more.
  const std::vector<std::string> options = {"--device-as-default-execution-space",
                                            "--prec-div=false", "--prec-sqrt=false"};
  std::vector<const kernels::jit::CompiledCode*> compiled;
  for (const KernelCode& kernel : code().kernels) {
    compiled.push_back(
        &kernels::jit::compiled({kernel.source, kKernelName, options, architecture}));
  }
  compiled_ = std::move(compiled);
}

void Program::load() {
  for (size_t i = loaded_.size(); i < compiled_.size(); ++i) {
    loaded_.push_back(&kernels::jit::load(*compiled_[i], "fused kernel"));
  }
}

Tensors Program::run(Device device, const Tensor* arguments) const {
  cuda::enter(device);
  Tensors buffers;
  buffers.reserve(kernels_.schedule.buffers.size() + code().parts.size());
  for (const Buffer& buffer : kernels_.schedule.buffers) {
    buffers.push_back(ops::allocate(buffer.shape, buffer.dtype, device));
  }
  const size_t first_part = buffers.size();
  for (const Parts& parts : code().parts) {
    buffers.push_back(ops::allocate({parts.numel}, parts.dtype, device));
  }
  for (size_t i = 0; i < code().kernels.size(); ++i) {
    const KernelCode& kernel = code().kernels[i];
    KernelArguments given;
    for (size_t k = 0; k < kernel.pointers.size(); ++k) {
      const auto [kind, index] = kernel.pointers[k];
      const auto at = static_cast<size_t>(index);
      given.pointers[k] = (kind == Pointer::Kind::argument ? arguments[at]
                           : kind == Pointer::Kind::buffer ? buffers[at]
                                                           : buffers[first_part + at])
                              .data_ptr();
    }
    std::copy_n(kernel.sizes, kSizeCount, given.sizes);
    void* parameters[] = {&given};
    kernels::jit::launch(*loaded_[i],
                         {.grid = {kernel.grid[0], kernel.grid[1], 1},
                          .block = {kernel.threads, 1, 1},
                          .shared_memory = kernel.shared_memory},
                         parameters);
  }
  Tensors results;
  results.reserve(kernels_.schedule.results.size());
  for (const Result& result : kernels_.schedule.results) {
    results.push_back(result.argument >= 0 ? arguments[static_cast<size_t>(result.argument)]
                                           : buffers[static_cast<size_t>(result.buffer)]);
  }
  return results;
}

}  // namespace taut::fusion
